"""Measure what ambiences and rooms cost a trial: time to pack and to open, memory, first batch.

python -m bench.load.noise --rooms 60000 --ambiences 2016

The sounds are made at random in a temporary folder: by default as many files as RIRS_NOISES and
MUSAN have, of a quarter of a second and of a second each. A fresh process opens what was packed, as
a trial does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

BATCH, SAMPLES = 100, 32_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rooms", type=int, default=60_000)
    parser.add_argument("--ambiences", type=int, default=2_016)
    parser.add_argument("--in-trial", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_trial:
        print(json.dumps(_measure_trial(*map(Path, given.in_trial))))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SPKSEARCH_CACHE"] = f"{folder}/cache"
        noise, rooms = Path(folder) / "noise", Path(folder) / "rooms"
        _write(noise, given.ambiences, 16_000)
        _write(rooms, given.rooms, 4_000)
        began = time.perf_counter()
        _pack(noise, rooms)
        seconds = time.perf_counter() - began
        print(f"packed {given.ambiences:,} + {given.rooms:,} files in {seconds:.1f} s")
        command = [sys.executable, "-m", "bench.load.noise", "--in-trial", str(noise), str(rooms)]
        for _ in range(3):
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            measured = json.loads(answer.stdout)
            print(
                f"opened in {measured['open_seconds']:.2f} s, first batch of {BATCH} in "
                f"{measured['batch_seconds']:.2f} s, memory {measured['megabytes']:.0f} MB"
            )


def _write(folder: Path, files: int, samples: int) -> None:
    chance = np.random.default_rng(1)
    for number in range(files):
        if number % 1000 == 0:
            (folder / f"{number // 1000:03d}").mkdir(parents=True)
        sound = chance.integers(-9000, 9000, samples).astype(np.int16)
        soundfile.write(folder / f"{number // 1000:03d}" / f"{number:06d}.wav", sound, 16_000)


def _pack(noise: Path, rooms: Path) -> None:
    from spkmodel.augment.noise_and_rooms import fingerprint

    fingerprint(noise, rooms)


def _measure_trial(noise: Path, rooms: Path) -> dict[str, float]:
    """Return seconds and the growth of resident memory, the mapped file left out."""
    import torch

    from spkmodel.augment import Augmenter
    from spkmodel.augment.noise_and_rooms import open_noise_and_rooms
    from spkmodel.config import Augment

    torch.set_num_threads(1)
    config = Augment(room_probability=0.5, noise_probability=0.5)
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
