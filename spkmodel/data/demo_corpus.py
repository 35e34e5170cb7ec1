"""The built-in corpus: voices and sentences drawn from a seed, spoken offline by eSpeak NG.

Each voice is a variant file of its own (formants, pitch, breath, roughness, accent); each
utterance has its own sentence, rate, pitch, microphone filter and background noise.
"""

import json
import os
import secrets
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import soundfile
from jaxtyping import Float64, Int16

from spkmodel.core.progress import Progress, silent
from spkmodel.data import espeak
from spkmodel.data.lists import Pair, TrainEntry, write_pairs, write_train_list

VERSION = 1
"""Raised when the same seed would give other bytes."""

SAMPLE_RATE = 16_000
FEWEST_VOICES = 6
SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 4.0

_MARK = "demo.json"
_HELD_OUT_FRACTION = 0.15
_SECONDS_A_VOICE_MAY_TAKE = 60

_Waveform = Float64[np.ndarray, " _samples"]


class DemoCorpusError(RuntimeError):
    """The built-in corpus cannot be made here."""


def make(
    folder: Path,
    voices: int = 100,
    utterances: int = 8,
    seed: int = 0,
    progress: Progress = silent,
) -> Path:
    """Make the corpus in `folder`, with its lists, and return the folder; progress by utterance.

    A folder that already holds this very corpus is returned as it is. The corpus appears in one
    step; the same arguments give the same bytes.

    Raises:
        DemoCorpusError: if eSpeak NG is not installed or fails, or the folder holds something else.
        ValueError: if there would be too few voices for speaker-disjoint lists.
    """
    if voices < FEWEST_VOICES or utterances < 2:
        raise ValueError(
            f"the built-in corpus needs at least {FEWEST_VOICES} voices x 2 utterances, "
            f"got {voices} x {utterances}"
        )
    recipe = {"version": VERSION, "voices": voices, "utterances": utterances, "seed": seed}
    if _is_made(folder, recipe):
        return folder
    loader = _loader()
    building = folder.absolute().parent / f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        building.mkdir(parents=True)
        _speak(building, loader, recipe, progress)
        _write_lists(building, voices, utterances, seed)
        (building / _MARK).write_text(json.dumps(recipe, sort_keys=True) + "\n")
        _put(building, folder, recipe)
    except OSError as error:
        raise DemoCorpusError(f"{folder}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _is_made(folder: Path, recipe: dict[str, int]) -> bool:
    mark = folder / _MARK
    if mark.is_file():
        found = mark.read_text(errors="replace").strip()
        if found == json.dumps(recipe, sort_keys=True):
            return True
        raise DemoCorpusError(
            f"{folder}: holds another built-in corpus ({found}); remove it or name another folder"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DemoCorpusError(
            f"{folder}: holds something else than a built-in corpus; name a new or empty folder"
        )
    return False


def _put(building: Path, folder: Path, recipe: dict[str, int]) -> None:
    try:
        building.replace(folder)
    except OSError:
        # Another process may have been first.
        if not _is_made(folder, recipe):
            raise


def _loader() -> ModuleType:
    try:
        import espeakng_loader
    except ImportError as error:
        raise DemoCorpusError(
            "the built-in corpus is spoken by eSpeak NG, which is not installed; "
            "pip install 'spksearch[demo]'"
        ) from error
    return cast(ModuleType, espeakng_loader)


# --- lists -----------------------------------------------------------------------------------


def _path(voice: int, utterance: int) -> str:
    return f"wav/{_name(voice)}/{utterance:02d}.flac"


def _name(voice: int) -> str:
    return f"voice{voice:03d}"


def _write_lists(folder: Path, voices: int, utterances: int, seed: int) -> None:
    held_out = max(2, round(_HELD_OUT_FRACTION * voices))
    training = range(voices - 2 * held_out)
    write_train_list(
        folder / "train_list.txt",
        [
            TrainEntry(speaker=_name(voice), path=_path(voice, utterance))
            for voice in training
            for utterance in range(utterances)
        ],
    )
    for number, name in enumerate(("valid_trials.txt", "test_trials.txt")):
        first = len(training) + number * held_out
        chance = np.random.default_rng((seed, 1, number))
        write_pairs(folder / name, _pairs(range(first, first + held_out), utterances, seed, chance))


def _pairs(voices: range, utterances: int, seed: int, chance: np.random.Generator) -> list[Pair]:
    """All target pairs and as many others, half of these within one pitch class where it can be."""
    spoken = [(voice, utterance) for voice in voices for utterance in range(utterances)]
    targets: list[Pair] = []
    alike: list[Pair] = []
    unlike: list[Pair] = []
    high = {voice: _is_high(voice, seed) for voice in voices}
    for place, one in enumerate(spoken):
        for other in spoken[place + 1 :]:
            same = one[0] == other[0]
            kind = targets if same else alike if high[one[0]] == high[other[0]] else unlike
            kind.append(Pair(target=same, enrolment=_path(*one), test=_path(*other)))
    from_alike = min(len(targets) // 2, len(alike))
    from_unlike = min(len(targets) - from_alike, len(unlike))
    chosen = [
        *targets,
        *_drawn(alike, from_alike, chance),
        *_drawn(unlike, from_unlike, chance),
    ]
    return _drawn(chosen, len(chosen), chance)


def _drawn(pairs: list[Pair], count: int, chance: np.random.Generator) -> list[Pair]:
    return [pairs[place] for place in chance.permutation(len(pairs))[:count]]


# --- voices ----------------------------------------------------------------------------------

_ACCENTS = (
    "en",
    "en-US",
    "en-GB-x-rp",
    "en-GB-scotland",
    "en-GB-x-gbclan",
    "en-GB-x-gbcwmd",
    "en-029",
)
"""Files of eSpeak NG's folder `lang/gmw`."""


def _is_high(voice: int, seed: int) -> bool:
    """Half the voices are high ones, in turn, so that every split has both."""
    return (voice + seed) % 2 == 1


def _variant(voice: int, seed: int) -> tuple[str, str]:
    """A voice's accent, and its variant file: eSpeak NG's percentages of its plain voice."""
    chance = np.random.default_rng((seed, 2, voice))
    high = _is_high(voice, seed)
    low_hz = chance.uniform(125, 190) if high else chance.uniform(75, 130)
    tract = chance.uniform(1.06, 1.20) if high else chance.uniform(0.92, 1.06)
    lines = [
        "language variant",
        f"name {_name(voice)}",
        f"gender {'female' if high else 'male'}",
        f"pitch {low_hz:.0f} {low_hz * chance.uniform(1.25, 1.75):.0f}",
        f"flutter {chance.integers(0, 10)}",
        f"roughness {chance.integers(0, 4)}",
        f"voicing {chance.integers(80, 121)}",
        f"consonants {chance.integers(75, 131)} {chance.integers(75, 131)}",
    ]
    for formant in range(6):
        frequency = 100 * tract * (1 + 0.03 * np.clip(chance.standard_normal(), -2, 2))
        strength, width = chance.integers(80, 121), chance.integers(80, 131)
        lines.append(f"formant {formant} {frequency:.0f} {strength} {width}")
    if chance.random() < 0.4:
        strengths = chance.integers(0, 12, 8)
        lines.append("breath 0 " + " ".join(str(strength) for strength in strengths))
    return str(chance.choice(_ACCENTS)), "\n".join(lines) + "\n"


def _lay_out(data: Path, folder: Path, voices: int, seed: int) -> list[str]:
    """A copy of what English needs of eSpeak NG's data, with our variants; the voices' names."""
    target = folder / "espeak-ng-data"
    (target / "lang").mkdir(parents=True)
    for name in ("phondata", "phonindex", "phontab", "intonations", "en_dict"):
        shutil.copyfile(data / name, target / name)
    shutil.copytree(data / "lang" / "gmw", target / "lang" / "gmw")
    variants = target / "voices" / "!v"
    variants.mkdir(parents=True)
    names = []
    for voice in range(voices):
        accent, text = _variant(voice, seed)
        (variants / _name(voice)).write_text(text)
        names.append(f"{accent}+{_name(voice)}")
    return names


# --- speaking --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    voice: int
    name: str
    library: str
    data: str
    utterances: int
    seed: int


def _speak(folder: Path, loader: ModuleType, recipe: dict[str, int], progress: Progress) -> None:
    voices, utterances, seed = (recipe[key] for key in ("voices", "utterances", "seed"))
    with (
        tempfile.TemporaryDirectory(prefix="spksearch-voices-") as temporary,
        ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool,
    ):
        names = _lay_out(Path(loader.get_data_path()), Path(temporary), voices, seed)
        library = str(loader.get_library_path())
        tasks = [
            _Task(voice, name, library, temporary, utterances, seed)
            for voice, name in enumerate(names)
        ]
        futures = [pool.submit(_record, folder, task) for task in tasks]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                progress(done * utterances, voices * utterances)
        finally:
            pool.shutdown(cancel_futures=True)


def _record(folder: Path, task: _Task) -> None:
    """All utterances of one voice, from its own process to its folder."""
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
                "text": _sentence(chance),
                "words_per_minute": int(chance.integers(155, 201)),
                "pitch": int(chance.integers(35, 66)),
            }
            for chance in chances
        ],
    }
    (folder / "wav" / _name(task.voice)).mkdir(parents=True)
    for utterance, (spoken, rate) in enumerate(_spoken(request)):
        soundfile.write(
            folder / _path(task.voice, utterance),
            _recorded(spoken, rate, chances[utterance]),
            SAMPLE_RATE,
            subtype="PCM_16",
        )


def _spoken(request: dict[str, object]) -> Iterator[tuple[_Waveform, int]]:
    """What the process says, in [-1, 1], and its sample rate."""
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


# --- recording -------------------------------------------------------------------------------


def _recorded(
    spoken: _Waveform, rate: int, chance: np.random.Generator
) -> Int16[np.ndarray, " _samples"]:
    """As a microphone in a room of its own would hear it: filter, level, noise; 16 kHz."""
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


def _without_silence(spoken: _Waveform, rate: int) -> _Waveform:
    """Cut before the first and after the last sound, a twentieth of a second apart."""
    loud = np.flatnonzero(np.abs(spoken) > 0.01 * np.abs(spoken).max())
    margin = rate // 20
    return spoken[max(0, loud[0] - margin) : loud[-1] + margin]


# --- sentences -------------------------------------------------------------------------------

_WORDS = {
    "adjective": "old young tired cheerful quiet clever hungry careful famous lonely proud gentle "
    "nervous patient polite curious strange friendly foreign busy",
    "person": "teacher farmer doctor sailor neighbour baker painter student captain grandmother "
    "gardener driver nurse singer lawyer judge visitor engineer carpenter shepherd",
    "action": "carried found painted watched borrowed repaired forgot sold moved counted hid "
    "washed photographed noticed measured opened bought followed described dropped",
    "colour": "red blue yellow green purple black orange silver white brown grey golden",
    "thing": "umbrella bicycle suitcase mirror kettle violin ladder basket window carpet garden "
    "letter jacket machine picture chair bottle clock engine sheep telephone vegetable",
    "place": "beside the river; behind the church; near the station; under the bridge; "
    "in the kitchen; on the hill; at the market; outside the school; across the valley; "
    "along the beach; above the village; in the museum; by the fire; through the forest",
    "time": "yesterday; this morning; last winter; before lunch; every Thursday; after the storm; "
    "at midnight; in the summer; a year ago; on Friday evening; too early; once again",
}

_SENTENCES = (
    "The {adjective} {person} {action} the {colour} {thing} {place}.",
    "{time}, my {adjective} {person} {action} a {colour} {thing}, very slowly.",
    "Why has the {person} {place} {action} that {adjective} {thing}?",
    "She {action} the {thing} {place} and thanked the {adjective} {person}.",
    "We heard that a {person} {action} your {colour} {thing} {time}.",
    "Nobody {action} the {thing} {time} except one {adjective} {person}.",
    "Please tell the {adjective} {person} who {action} our {thing} {place}.",
    "The {colour} {thing} {place} belongs to a {adjective} {person}.",
)


def _sentence(chance: np.random.Generator) -> str:
    words = {
        kind: str(chance.choice(text.split("; ") if ";" in text else text.split()))
        for kind, text in _WORDS.items()
    }
    sentence = _SENTENCES[chance.integers(len(_SENTENCES))].format(**words)
    return sentence[0].upper() + sentence[1:]
