"""Measure packing: speed beside soundfile alone, cost of a file, resuming, memory, m4a.

python -m bench.load.packing CORPUS [--times 4] [--rounds 5] [--tiny 10000 100000]

CORPUS has FLAC files in `wav/<speaker>/`. They are copied into a temporary folder, `--times` over,
as FLAC and as WAV. Packing, on all cores, and decoding by soundfile alone, by as many processes,
take turns; the time of packing is that from opened lists to a store on disk. Tiny files are WAV of
a tenth of a second.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from bench.support import result_files
from spkmodel.core.cores import usable_cores

_PROGRAM = [sys.executable, "-m", "bench.load.packing_programs"]
_RATE = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", type=int, nargs="*", default=[10_000, 100_000])
    given = parser.parse_args()
    # Where the corpus lies on this machine is nobody's business.
    command = result_files.command_of("bench.load.packing")
    command = command.replace(str(given.corpus), "CORPUS")
    result = result_files.describe_measurement(command)
    result["cores"] = usable_cores()
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        for form in ("flac", "wav"):
            folder = _copy(given.corpus, top / form, form, given.times)
            result[form] = _compare(folder, top, given.rounds)
            print(form, json.dumps(result[form]), flush=True)
        result["disk_megabytes_per_second"] = [_write_to_disk(top, 1_000) for _ in range(3)]
        result["killed"] = _kill_and_resume(top / "flac", top, given.rounds)
        print("killed", json.dumps(result["killed"]), flush=True)
        result["m4a"] = [_decode_m4a(given.corpus, top) for _ in range(given.rounds)]
        print("m4a", json.dumps(result["m4a"]), flush=True)
        result["tiny"] = {count: _pack_tiny(top, count) for count in given.tiny}
        print("tiny", json.dumps(result["tiny"]), flush=True)
    print(result_files.write("packing", result))


def _copy(corpus: Path, folder: Path, form: str, times: int) -> Path:
    """Write the files of a corpus several times over, each time for other speakers."""
    for source in sorted(corpus.glob("wav/*/**/*.flac")):
        speaker, *others = source.relative_to(corpus / "wav").parts
        for number in range(times):
            path = folder.joinpath("wav", f"{speaker}-{number}", *others).with_suffix(f".{form}")
            path.parent.mkdir(parents=True, exist_ok=True)
            if form == "flac":
                shutil.copyfile(source, path)
            else:
                soundfile.write(path, soundfile.read(source, dtype="int16")[0], _RATE)
    return folder


def _compare(folder: Path, top: Path, rounds: int) -> dict[str, Any]:
    """Pack and decode in turn; the ratio is of the seconds of decoding to those of packing."""
    files = [path for path in (folder / "wav").rglob("*") if path.is_file()]
    decoding, decoding_processor, packing = [], [], []
    for _ in range(rounds):
        seconds_alone, processor_alone = _decode(folder / "wav")
        decoding.append(seconds_alone)
        decoding_processor.append(processor_alone)
        packing.append(_pack(folder, top / "home")[-1])
        samples = sum(path.stat().st_size // 2 for path in top.glob("home/corpora/*/*.i16"))
        shutil.rmtree(top / "home")
    seconds = [each["seconds"] for each in packing]
    ratios = [one / other for one, other in zip(decoding, seconds, strict=True)]
    return {
        "files": len(files),
        "megabytes": sum(path.stat().st_size for path in files) / 1e6,
        "hours": samples / _RATE / 3600,
        "soundfile_seconds": decoding,
        "packing_seconds": seconds,
        "soundfile_processor_seconds": decoding_processor,
        "packing_processor_seconds": [each["processor_seconds"] for each in packing],
        "ratios": ratios,
        "median_ratio": statistics.median(ratios),
        "megabytes_of_main_process": max(each["megabytes"] for each in packing),
        "megabytes_of_a_worker": max(each["worker_megabytes"] for each in packing),
    }


def _decode(folder: Path) -> tuple[float, float]:
    """Return the seconds that soundfile takes on all cores, by the clock and of processor time.

    The start of the processes is not in them.
    """
    parts = usable_cores()
    running = [
        subprocess.Popen(
            [*_PROGRAM, "decode", str(folder), str(part), str(parts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(parts)
    ]
    for each in running:
        assert each.stdout is not None
        each.stdout.readline()
    began = time.perf_counter()
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    used = []
    for each in running:
        assert each.stdout is not None
        used.append(float(each.stdout.readline()))
    seconds = time.perf_counter() - began
    for each in running:
        each.communicate()
    return seconds, sum(used)


def _pack(folder: Path, home: Path) -> list[dict[str, Any]]:
    """Pack in a process of its own; return all that it told, its measure last."""
    done = subprocess.run(
        [*_PROGRAM, "pack", str(folder), str(home)], check=True, stdout=subprocess.PIPE, text=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _write_to_disk(top: Path, megabytes: int) -> float:
    """Return the megabytes a second at which one process writes a file onto the disk."""
    block = np.random.default_rng(0).bytes(1_000_000)
    began = time.perf_counter()
    with (top / "written").open("wb") as out:
        for _ in range(megabytes):
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    seconds = time.perf_counter() - began
    (top / "written").unlink()
    return megabytes / seconds


def _kill_and_resume(folder: Path, top: Path, times: int) -> dict[str, Any]:
    """Kill packings at random moments and let them go on; return what that cost and left."""
    straight = _pack(folder, top / "home")[-1]["seconds"]
    shutil.rmtree(top / "home")
    chance = random.Random(1)
    since_record, told_at_kill, resumed_at, left = [], [], [], []
    for _ in range(times):
        packing = subprocess.Popen(
            [*_PROGRAM, "pack", str(folder), str(top / "home")], stdout=subprocess.PIPE, text=True
        )
        assert packing.stdout is not None
        packing.stdout.readline()
        time.sleep(chance.uniform(0.2, 0.9) * straight)
        packing.kill()
        killed = time.time()
        rest, _ = packing.communicate()
        told = [json.loads(line) for line in rest.splitlines() if line.endswith("}")]
        told = [each for each in told if "done" in each]
        if told:
            since_record.append(max(0.0, killed - told[-1]["time"]))
            told_at_kill.append(told[-1]["done"])
        resumed_at.append(_pack(folder, top / "home")[0]["done"])
        left.append(sorted(path.name for path in top.glob("home/corpora/.*")))
        shutil.rmtree(top / "home")
    return {
        "straight_seconds": straight,
        "seconds_since_last_record": since_record,
        "recorded_when_killed": told_at_kill,
        "resumed_at": resumed_at,
        "left_behind": left,
    }


def _pack_tiny(top: Path, count: int) -> dict[str, float]:
    """Return what packing so many tiny files takes."""
    folder = top / f"tiny-{count}"
    noise = np.random.default_rng(0).integers(-9000, 9000, _RATE // 10, dtype=np.int16)
    soundfile.write(top / "tiny.wav", noise, _RATE)
    content = (top / "tiny.wav").read_bytes()
    for number in range(count):
        speaker = folder / f"wav/s{number // 200:05d}"
        if number % 200 == 0:
            speaker.mkdir(parents=True)
        (speaker / f"{number:07d}.wav").write_bytes(content)
    measured = _pack(folder, top / "home")[-1]
    again = _pack(folder, top / "home")[-1]
    shutil.rmtree(top / "home")
    shutil.rmtree(folder)
    return {
        "microseconds_a_file": measured["seconds"] / count * 1e6,
        "microseconds_a_file_when_packed_already": again["seconds"] / count * 1e6,
        "megabytes_of_main_process": measured["megabytes"],
        "megabytes_of_a_worker": measured["worker_megabytes"],
    }


def _decode_m4a(corpus: Path, top: Path) -> float:
    """Return how many hours of 16 kHz mono AAC a core decodes in an hour, as packing does it."""
    import hashlib

    from spkmodel.data import audio

    files = _write_m4a(corpus, top / "m4a", 100)
    began, samples = time.process_time(), 0
    for path in files:
        samples += len(audio.decode(path, digest=hashlib.sha256()).samples)
    return samples / _RATE / (time.process_time() - began)


def _write_m4a(corpus: Path, folder: Path, count: int) -> list[Path]:
    """Encode recordings of eight seconds, as VoxCeleb2's are on average, at 64 kbit/s."""
    import av

    if folder.exists():
        return sorted(folder.iterdir())
    folder.mkdir()
    speech = [
        soundfile.read(path, dtype="float32")[0]
        for path in sorted(corpus.glob("wav/*/**/*.flac"))[: 4 * count]
    ]
    for number in range(count):
        joined = np.concatenate(speech[4 * number : 4 * number + 4])
        waveform = np.resize(joined, (1, 8 * _RATE)).astype(np.float32)
        with av.open(str(folder / f"{number:03d}.m4a"), "w") as out:
            stream = out.add_stream("aac", rate=_RATE, layout="mono")
            stream.bit_rate = 64_000
            frame = av.AudioFrame.from_ndarray(waveform, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = _RATE, 0
            chunks = av.AudioResampler("fltp", "mono", _RATE, 1024)
            for part in [*chunks.resample(frame), *chunks.resample(None)]:
                out.mux(stream.encode(part))
            out.mux(stream.encode(None))
    return sorted(folder.iterdir())


if __name__ == "__main__":
    main()
