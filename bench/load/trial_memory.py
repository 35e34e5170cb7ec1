"""Measure the memory of a trial of the quickstart, step by step: what is its own beside torch's.

python -m bench.load.trial_memory [--rounds 5]

A process imports what a worker imports, in the worker's order, and trains an epoch of the
quickstart's largest network on noise. Own memory is USS: pages that no other process shares.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench.support import result_files

_SPEAKERS, _UTTERANCES, _SAMPLES = 40, 10, 48_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-trial", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_trial:
        print(json.dumps(_measure_trial(Path(given.in_trial))))
        return
    result = result_files.describe_measurement(result_files.command_of("bench.load.trial_memory"))
    rounds = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "bench.load.trial_memory", "--in-trial", folder]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            rounds.append(json.loads(answer.stdout))
    result["median_megabytes"] = {
        step: round(statistics.median(one[step] for one in rounds), 1) for step in rounds[0]
    }
    result["rounds"] = rounds
    print(json.dumps(result["median_megabytes"], indent=1))
    print(result_files.write("trial_memory", result))


def _measure_trial(folder: Path) -> dict[str, float]:
    """Return the own memory that each step added, in megabytes."""
    at = [_own_megabytes()]
    steps: dict[str, float] = {}

    def count(step: str) -> None:
        now = _own_megabytes()
        steps[step] = now - at[0]
        at[0] = now

    import torch

    torch.set_num_threads(1)
    count("torch")
    import ray  # noqa: F401 (its memory is measured)

    count("ray")
    from ray import tune  # noqa: F401 (its memory is measured)

    count("ray.tune")
    import spkmodel.worker.trainable  # noqa: F401 (its memory is measured)

    count("spkmodel")
    _train(folder)
    count("an epoch and its judgement")
    steps["beyond torch"] = sum(steps.values()) - steps["torch"]
    steps["beyond torch and ray"] = steps["beyond torch"] - steps["ray"] - steps["ray.tune"]
    return steps


def _train(folder: Path) -> None:
    from spkmodel.augment.noise_and_rooms import open_noise_and_rooms
    from spkmodel.config import TDNN, Augment, Batches, TrainConfig
    from spkmodel.data.lists import Pair
    from spkmodel.data.store_writing import write_store
    from spkmodel.training.trainer import Training
    from spkmodel.verification.embed_and_score import evaluate_encoder

    chance = np.random.default_rng(1)
    names = [f"wav/{n % _SPEAKERS}/{n}.wav" for n in range(_SPEAKERS * _UTTERANCES)]
    store = write_store(
        folder / "store",
        (
            (
                name,
                str(number % _SPEAKERS),
                "dev" if number % _SPEAKERS < 8 else "train",
                chance.integers(-9000, 9000, _SAMPLES).astype(np.int16),
            )
            for number, name in enumerate(names)
        ),
        {"sha256": "0" * 64},
    )
    config = TrainConfig(
        encoder=TDNN(channels=48, embedding_dim=128),
        batches=Batches(speakers=8, utterances=2, crop_seconds=1.0),
        augment=Augment(gain_db=6.0, filter_probability=0.5, noise_probability=0.5),
    )
    training = Training(config, store, open_noise_and_rooms(None, None, "train"))
    training.run_epoch()
    dev = store.of_split("dev")
    pairs = [Pair(first % 8 == 0, dev[0], dev[first]) for first in range(1, len(dev))]
    evaluate_encoder(training.evaluated_encoder, store, pairs)


def _own_megabytes() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    own = (line for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))
    return sum(int(line.split()[1]) for line in own) * 1024 / 1e6


if __name__ == "__main__":
    main()
