"""Measure what MUSAN and RIRS_NOISES cost a trial: time to pack and to open, memory, first batch.

python -m bench.load.noise [--rooms 60000] [--ambiences 2016] [--seconds 20] [--rounds 5]

The sounds are made at random in a temporary folder, laid out as the two sets are: as many files in
each category, rooms of a quarter of a second, ambiences of `--seconds` (MUSAN's are 194 s on
average). A fresh process opens what was packed, as a trial does.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from bench.support import result_files

BATCH, SAMPLES = 100, 32_000
_MUSAN = {"noise": 930 / 2016, "music": 660 / 2016, "speech": 426 / 2016}
_ROOMS = tuple(f"simulated_rirs/{size}room" for size in ("small", "medium", "large"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rooms", type=int, default=60_000)
    parser.add_argument("--ambiences", type=int, default=2_016)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-trial", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_trial:
        print(json.dumps(_measure_trial(*map(Path, given.in_trial))))
        return
    result = result_files.describe_measurement(result_files.command_of("bench.load.noise"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SPKSEARCH_CACHE"] = f"{folder}/cache"
        noise, rooms = Path(folder) / "musan", Path(folder) / "RIRS_NOISES"
        for form, share in _MUSAN.items():
            _write(noise / form, round(given.ambiences * share), given.seconds * 16_000)
        for form in _ROOMS:
            _write(rooms / form, given.rooms // len(_ROOMS), 4_000)
        began = time.perf_counter()
        _pack(noise, rooms)
        result["packed_seconds"] = round(time.perf_counter() - began, 1)
        packed = sum(path.stat().st_size for path in Path(folder).glob("cache/*/*/*.i16"))
        result["packed_megabytes"] = round(packed / 1e6)
        command = [sys.executable, "-m", "bench.load.noise", "--in-trial", str(noise), str(rooms)]
        rounds = []
        for _ in range(given.rounds):
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            rounds.append(json.loads(answer.stdout))
        result["median"] = {
            key: round(statistics.median(one[key] for one in rounds), 3) for key in rounds[0]
        }
        result["rounds"] = rounds
    print(json.dumps(result, indent=1))
    print(result_files.write("noise", result))


def _write(folder: Path, files: int, samples: int) -> None:
    chance = np.random.default_rng(1)
    for number in range(files):
        below = folder / f"{number // 1000:03d}"
        below.mkdir(parents=True, exist_ok=True)
        # Short noise again and again: drawing it would take longer than all the rest.
        sound = np.resize(chance.integers(-9000, 9000, 4_000).astype(np.int16), samples)
        soundfile.write(below / f"{number:06d}.wav", sound, 16_000)


def _pack(noise: Path, rooms: Path) -> None:
    from spkmodel.augment.noise_and_rooms import fingerprint

    fingerprint(noise, rooms)


def _measure_trial(noise: Path, rooms: Path) -> dict[str, float]:
    """Return seconds and the growth of resident memory, the mapped file left out."""
    import torch

    from spkmodel.augment import Augmenter
    from spkmodel.augment.noise_and_rooms import open_noise_and_rooms
    from spkmodel.config import Augment, Categories

    torch.set_num_threads(1)
    config = Augment(room_probability=0.5, noise_probability=0.5, categories=Categories())
    crops, generator = torch.randn(BATCH, SAMPLES), torch.Generator().manual_seed(1)
    # What torch and its first transform take is not of the sounds.
    Augmenter(config, open_noise_and_rooms(None, None, "train"))(crops, generator)
    before, began = _own_memory(), time.perf_counter()
    augmenter = Augmenter(config, open_noise_and_rooms(noise, rooms, "train"))
    opened = time.perf_counter()
    augmenter(crops, generator)
    return {
        "open_seconds": opened - began,
        "batch_seconds": time.perf_counter() - opened,
        "megabytes": (_own_memory() - before) / 1e6,
    }


def _own_memory() -> int:
    """Return the bytes of this process that no file backs."""
    status = Path("/proc/self/status").read_text()
    (line,) = (each for each in status.splitlines() if each.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
