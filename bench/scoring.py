"""Measure pairs a second on one thread for every way of scoring, beside loops over pairs.

python -m bench.scoring [--peer CLONE]

With a clone of voxceleb_trainer its own evaluation scores the crops, in alternating runs, and the
scores are compared; without one, a loop that does the same per pair stands in for it.
Embeddings are drawn at random; sizes are those of VoxCeleb: 4,708 test utterances, 37,611 pairs of
the cleaned list, 5,994 training speakers as the cohort.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from bench.support.voxceleb_trainer import Peer
from spkmodel.data.lists import Pair
from spkmodel.verification import bootstrap, metrics, scoring
from spkmodel.verification.back_end import BackEnd

UTTERANCES, COHORT, TOP, CROPS = 4708, 5994, 300, 10
MANY, SOME, FEW = 1_000_000, 37_611, 2000
CROPPED = (37_720, 5000)
RUNS, REPLICATES = 5, 1000


def main() -> None:
    torch.set_num_threads(1)
    print(
        f"processor time of one thread, {UTTERANCES:,} utterances; cohort {COHORT:,}, top {TOP}; "
        f"{CROPS} crops"
    )
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="a clone of voxceleb_trainer")
    clone = parser.parse_args().peer
    peer = None if clone is None else Peer(clone)
    for dim in (192, 512):
        _measure(dim, peer)
    _measure_rates()


def _measure(dim: int, peer: Peer | None) -> None:
    embeddings, crops, back_ends = _drawn(dim)
    many, some, few = (_pairs(count) for count in (MANY, SOME, FEW))
    print(f"-- embeddings of {dim} numbers")
    loop = _report("cosine, a loop over pairs", few, lambda p: _loop(embeddings, p))
    for name, pairs in (("the test list's number", some), ("a million", many)):
        rate = _report(f"cosine, {name}", pairs, lambda p: scoring.score_pairs(embeddings, p))
        print(f"{'':44}{rate / loop:10.0f} x the loop")
    for count in CROPPED:
        _compare_crops(crops, _pairs(count), peer)
    for name, back_end in back_ends.items():
        _report(name, some, partial(back_end.score, embeddings))


def _compare_crops(crops: dict[str, torch.Tensor], pairs: list[Pair], peer: Peer | None) -> None:
    """Print the medians of alternating runs, and how far the scores are from each other."""
    ours, theirs, apart = [], [], 0.0
    for _ in range(RUNS):
        began = time.process_time()
        scores = scoring.score_pairs(crops, pairs, "crop_distance")
        ours.append(time.process_time() - began)
        if peer is not None:
            seconds, expected = peer.score_seconds(crops, pairs)
        else:
            began = time.process_time()
            expected = _cdist(crops, pairs)
            seconds = time.process_time() - began
        theirs.append(seconds)
        apart = max(apart, float(np.abs(scores - expected).max()))
    ratios = sorted(slow / fast for slow, fast in zip(theirs, ours, strict=True))
    fast, slow = statistics.median(ours), statistics.median(theirs)
    name = "a loop over pairs" if peer is None else "voxceleb_trainer"
    print(
        f"{CROPS} x {CROPS} crop distances, {len(pairs):,} pairs: {fast:.3f} s; {name}: "
        f"{slow:.3f} s; {statistics.median(ratios):.1f} times ({ratios[0]:.1f} to "
        f"{ratios[-1]:.1f}); scores at most {apart:.0e} apart",
        flush=True,
    )


def _measure_rates() -> None:
    """Print the seconds of error rates and of the bootstrap: medians."""
    random = np.random.default_rng(0)
    targets = random.random(MANY) < 0.5
    scores = random.standard_normal(MANY) + 2 * targets
    few, of_few = scores[: CROPPED[0]], targets[: CROPPED[0]]
    speakers = random.integers(40, size=(2, CROPPED[0]))
    speakers[1, of_few] = speakers[0, of_few]

    def rates() -> None:
        metrics.eer(scores, targets)
        metrics.min_dcf(scores, targets, 0.01)
        metrics.min_dcf(scores, targets, 0.05)

    works: dict[str, Callable[[], object]] = {
        f"EER and two minDCF of {MANY:,} pairs": rates,
        f"bootstrap, {REPLICATES:,} x {CROPPED[0]:,} pairs": lambda: bootstrap.bootstrap_eer(
            few, of_few, *speakers, replicates=REPLICATES
        ),
    }
    for name, work in works.items():
        seconds = []
        for _ in range(RUNS):
            began = time.process_time()
            work()
            seconds.append(time.process_time() - began)
        print(f"{name}: {statistics.median(seconds):.2f} s", flush=True)


def _drawn(
    dim: int,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, BackEnd]]:
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(UTTERANCES, dim, generator=generator)
    crops = torch.randn(400, CROPS, dim, generator=generator)
    cohort = F.normalize(torch.randn(COHORT, dim, generator=generator)).double()
    return (
        {f"u{place}": row for place, row in enumerate(embeddings)},
        {f"u{place}": crops[place % len(crops)] for place in range(UTTERANCES)},
        {
            "AS-norm1": BackEnd(cohort=cohort, top=TOP, selection="own"),
            "AS-norm2": BackEnd(cohort=cohort, top=TOP, selection="cross"),
        },
    )


def _pairs(count: int) -> list[Pair]:
    sides = np.random.default_rng(count).integers(UTTERANCES, size=(count, 2)).tolist()
    return [Pair(False, f"u{one}", f"u{other}") for one, other in sides]


def _loop(embeddings: dict[str, torch.Tensor], pairs: list[Pair]) -> list[float]:
    return [
        float(F.cosine_similarity(embeddings[p.enrolment], embeddings[p.test], dim=0))
        for p in pairs
    ]


def _cdist(crops: dict[str, torch.Tensor], pairs: list[Pair]) -> list[float]:
    return [
        -float(torch.cdist(F.normalize(crops[p.enrolment]), F.normalize(crops[p.test])).mean())
        for p in pairs
    ]


def _report(name: str, pairs: list[Pair], work: Callable[[list[Pair]], object]) -> float:
    """Print pairs a second, the lookup of utterances by name included; the best of three."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        work(pairs)
        seconds.append(time.process_time() - began)
    rate = len(pairs) / min(seconds)
    print(f"{name:44}{rate:12,.0f} pairs/s ({len(pairs):,} in {min(seconds):.3f} s)", flush=True)
    return rate


if __name__ == "__main__":
    main()
