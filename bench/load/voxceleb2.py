"""Measure what a corpus of VoxCeleb2's size costs a trial: opening, plan, batch, memory, judgement.

python -m bench.load.voxceleb2 [--utterances 1092009] [--speakers 5994] [--rounds 5]

The store is simulated: as many utterances and speakers as VoxCeleb2's dev part has, a tenth of a
second of noise each, and beside them the utterances of two lists of pairs that are as long as
VoxCeleb1-O and the cleaned VoxCeleb1-H. Each round opens it in a fresh process, as a trial does.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.support import result_files

_SAMPLES = 1_600
_LISTS = {"O": (37_720, 4_708, 40), "H": (550_894, 137_924, 1_190)}
"""Pairs, utterances and speakers of each list."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--utterances", type=int, default=1_092_009)
    parser.add_argument("--speakers", type=int, default=5_994)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-trial", metavar="STORE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_trial:
        print(json.dumps(_measure_trial(Path(given.in_trial))))
        return
    result = result_files.describe_measurement(result_files.command_of("bench.load.voxceleb2"))
    with tempfile.TemporaryDirectory() as place:
        for name in _LISTS:
            began = time.perf_counter()
            store = _write_store(Path(place), name, given.utterances, given.speakers)
            written = time.perf_counter() - began
            rounds = [_run_trial(store) for _ in range(given.rounds)]
            result[name] = {
                "pairs": _LISTS[name][0],
                "store_written_seconds": round(written, 1),
                "median": {
                    key: round(statistics.median(one[key] for one in rounds), 3)
                    for key in rounds[0]
                },
                "rounds": rounds,
            }
            print(name, json.dumps(result[name]["median"]), flush=True)
    print(result_files.write("voxceleb2", result))


def _run_trial(store: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.load.voxceleb2", "--in-trial", str(store)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(answer.stdout)
    return measured


def _write_store(place: Path, name: str, utterances: int, speakers: int) -> Path:
    """Write a store in the form that packing gives it; its audio is one block, again and again."""
    from spkmodel.data.packing.store_files import Rows, split_bits, write_beside_audio
    from spkmodel.data.store import AUDIO_FILE

    pairs, dev_utterances, dev_speakers = _LISTS[name]
    folder = place / name
    folder.mkdir()
    chance = np.random.default_rng(1)
    # Skewed as VoxCeleb2 is, where a speaker has from some tens to 450 utterances.
    weights = chance.gamma(4.0, size=speakers)
    owners = np.sort(chance.choice(speakers, size=utterances, p=weights / weights.sum()))
    rows = Rows([], [], [], [])
    for number, owner in enumerate(owners.tolist()):
        path = f"wav/id{owner:05d}/{number // 8:011d}/{number % 8:05d}.m4a"
        rows.append(path, f"id{owner:05d}", split_bits(["train"]), _SAMPLES)
    for number in range(dev_utterances):
        speaker = f"id1{number % dev_speakers:04d}"
        rows.append(f"wav/{speaker}/x/{number:06d}.wav", speaker, split_bits(["dev"]), _SAMPLES)
    listed = _draw_pairs(rows.ids[utterances:], rows.speakers[utterances:], pairs, chance)
    block = chance.integers(-9000, 9000, _SAMPLES * 1_000).astype("<i2").tobytes()
    with (folder / AUDIO_FILE).open("wb") as out:
        left = len(rows.ids) * _SAMPLES * 2
        while left:
            left -= out.write(block[: min(left, len(block))])
    meta = {"sha256": hashlib.sha256(name.encode()).hexdigest()}
    write_beside_audio(folder, rows, meta, listed, [len(rows.ids) * _SAMPLES])
    return folder


def _draw_pairs(
    ids: list[str], speakers: list[str], count: int, chance: np.random.Generator
) -> list[Any]:
    """Draw so many pairs, half of them of one speaker."""
    from spkmodel.data.lists import Pair

    people = sorted(set(speakers))
    of_speaker = [ids[place :: len(people)] for place in range(len(people))]
    listed = []
    for number in range(count):
        enrolment = number % len(ids)
        own = enrolment % len(people)
        other = own if number % 2 == 0 else (own + 1 + int(chance.integers(len(people) - 1)))
        candidates = of_speaker[other % len(people)]
        test = candidates[int(chance.integers(len(candidates)))]
        listed.append(Pair(number % 2 == 0, ids[enrolment], test))
    return listed


def _measure_trial(folder: Path) -> dict[str, float]:
    import torch

    from spkmodel.config import Batches, TrainConfig
    from spkmodel.data.store import Store
    from spkmodel.nn import encoders
    from spkmodel.training.batches import batches_of_epoch
    from spkmodel.verification.embed_and_score import evaluate_embeddings, utterances_of

    torch.set_num_threads(1)
    encoders.build(TrainConfig().encoder)(torch.randn(2, 16_000))
    before, clock = _own_memory(), _Clock()
    store = Store.open(folder)
    opened = clock.lap()
    speakers = len(store.train_speakers)
    labels = clock.lap()
    plan = batches_of_epoch(store, Batches(speakers=100, utterances=2, crop_seconds=2.0), 1, 1)
    planned = clock.lap()
    index = _own_memory() - before
    next(iter(plan))
    first = clock.lap()
    batches = len(plan)
    del plan
    pairs = store.dev_pairs
    read = clock.lap()
    names = utterances_of(pairs)
    clock.lap()
    # Embeddings are drawn: what the encoder takes does not depend on the size of the corpus.
    drawn = dict(zip(names, torch.randn(len(names), 192), strict=True))
    clock.lap()
    evaluate_embeddings(drawn, pairs, store.speaker)
    judged = clock.lap()
    return {
        "open_seconds": opened,
        "labels_seconds": labels,
        "plan_seconds": planned,
        "first_batch_seconds": first,
        "index_and_plan_megabytes": index / 1e6,
        "read_pairs_seconds": read,
        "judge_seconds": judged,
        "megabytes_with_dev_pairs": (_own_memory() - before) / 1e6,
        "most_megabytes": _most_memory() / 1e6,
        "speakers": speakers,
        "batches": batches,
        "pairs": len(pairs),
    }


class _Clock:
    def __init__(self) -> None:
        self._at = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last call."""
        before, self._at = self._at, time.perf_counter()
        return self._at - before


def _own_memory() -> int:
    """Return the bytes of this process that no file backs."""
    return _read_status("RssAnon")


def _most_memory() -> int:
    """Return the most that this process had resident, torch and mapped files included."""
    return _read_status("VmHWM")


def _read_status(name: str) -> int:
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    (line,) = (each for each in status.splitlines() if each.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
