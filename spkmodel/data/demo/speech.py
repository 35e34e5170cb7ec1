"""Speak and record the utterances of the built-in corpus.

eSpeak NG speaks every voice in a process of its own (`espeak`); each utterance then passes a
microphone filter and background noise of its own.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile
from jaxtyping import Float64, Int16

from spkmodel.core.progress import Progress
from spkmodel.data.demo import DemoCorpusError, espeak
from spkmodel.data.demo.sentences import draw_sentence
from spkmodel.data.demo.voices import utterance_path, voice_name, write_espeak_data

_SECONDS_A_VOICE_MAY_TAKE = 60

Waveform = Float64[np.ndarray, " _samples"]

SAMPLE_RATE = 16_000

LONGEST_SECONDS = 4.0


@dataclass(frozen=True)
class _VoiceTask:
    voice: int
    name: str
    library: str
    data: str
    utterances: int
    seed: int


def record_voices(
    folder: Path, loader: ModuleType, recipe: dict[str, int], progress: Progress
) -> None:
    """Speak and record all voices into `folder/wav`, several voices at a time."""
    voices, utterances, seed = (recipe[key] for key in ("voices", "utterances", "seed"))
    with (
        tempfile.TemporaryDirectory(prefix="spksearch-voices-") as temporary,
        ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool,
    ):
        names = write_espeak_data(Path(loader.get_data_path()), Path(temporary), voices, seed)
        library = str(loader.get_library_path())
        tasks = [
            _VoiceTask(voice, name, library, temporary, utterances, seed)
            for voice, name in enumerate(names)
        ]
        futures = [pool.submit(_record_voice, folder, task) for task in tasks]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                progress(done * utterances, voices * utterances)
        finally:
            pool.shutdown(cancel_futures=True)


def _record_voice(folder: Path, task: _VoiceTask) -> None:
    """Record all utterances of one voice into its folder."""
    chances = [
        np.random.default_rng((task.seed, 3, task.voice, utterance))
        for utterance in range(task.utterances)
    ]
    request = {
        "library": task.library,
        "data": task.data,
        "voice": task.name,
        "seed": task.seed * 1_000_003 % 2**30 + 1000 * task.voice,
        "utterances": [
            {
                "text": draw_sentence(chance),
                "words_per_minute": int(chance.integers(155, 201)),
                "pitch": int(chance.integers(35, 66)),
            }
            for chance in chances
        ],
    }
    (folder / "wav" / voice_name(task.voice)).mkdir(parents=True)
    for utterance, (spoken, rate) in enumerate(_speak_utterances(request)):
        soundfile.write(
            folder / utterance_path(task.voice, utterance),
            _through_microphone(spoken, rate, chances[utterance]),
            SAMPLE_RATE,
            subtype="PCM_16",
        )


def _speak_utterances(request: dict[str, object]) -> Iterator[tuple[Waveform, int]]:
    """Yield the spoken waveforms, in [-1, 1], and their sample rate."""
    try:
        process = subprocess.run(
            # Isolated, so that no module beside the script takes a library's name.
            [sys.executable, "-I", "-S", espeak.__file__],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=_SECONDS_A_VOICE_MAY_TAKE,
            check=True,
        )
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or b""
        raise DemoCorpusError(
            f"eSpeak NG failed with voice {request['voice']}: {error} "
            f"{said.decode(errors='replace').strip()}"
        ) from error
    (rate,) = struct.unpack_from("<i", process.stdout)
    place = 4
    while place < len(process.stdout):
        (count,) = struct.unpack_from("<i", process.stdout, place)
        yield np.frombuffer(process.stdout, "<i2", count, place + 4) / 32768.0, rate
        place += 4 + 2 * count


def _through_microphone(
    spoken: Waveform, rate: int, chance: np.random.Generator
) -> Int16[np.ndarray, " _samples"]:
    """Apply a drawn microphone filter, level and background noise; resample to 16 kHz."""
    level_db, snr_db = chance.uniform(-32, -22), chance.uniform(5, 25)
    points_db = chance.uniform(-8, 8, 8)
    slope_db = chance.uniform(0, 6)
    kept = _without_silence(spoken, rate)
    # Whole periods of both rates, so that a cut spectrum is the resampled waveform.
    periods = -(-len(kept) * SAMPLE_RATE // rate // 320) + 1
    size = periods * 320
    spectrum = np.fft.rfft(kept, periods * rate * 320 // SAMPLE_RATE)[: size // 2 + 1]
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    gain_db = np.interp(hz, np.linspace(0, SAMPLE_RATE / 2, 8), points_db)
    passed = np.clip((hz - 40) / 60, 0, 1) * np.clip((7900 - hz) / 400, 0, 1)
    samples = min(len(kept) * SAMPLE_RATE // rate, int(LONGEST_SECONDS * SAMPLE_RATE))
    speech = np.fft.irfft(spectrum * passed * 10 ** (gain_db / 20), size)[:samples]
    speech *= 10 ** (level_db / 20) / np.sqrt(np.mean(speech**2))
    noise = np.fft.rfft(chance.standard_normal(size))
    noise *= np.maximum(hz, 50) ** (-slope_db / 20 / np.log10(2)) * passed
    hiss = np.fft.irfft(noise, size)[:samples]
    hiss *= 10 ** ((level_db - snr_db) / 20) / np.sqrt(np.mean(hiss**2))
    return np.rint(np.clip(speech + hiss, -1, 1) * 32767).astype(np.int16)


def _without_silence(spoken: Waveform, rate: int) -> Waveform:
    """Cut before the first and after the last sound, a twentieth of a second apart."""
    loud = np.flatnonzero(np.abs(spoken) > 0.01 * np.abs(spoken).max())
    margin = rate // 20
    return spoken[max(0, loud[0] - margin) : loud[-1] + margin]
