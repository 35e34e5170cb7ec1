"""Measure pairs a second on one thread for every way of scoring, beside loops over pairs.

python -m bench.scoring

Embeddings are drawn at random; sizes are those of VoxCeleb: 4,708 test utterances, 37,611 pairs of
the cleaned list, 5,994 training speakers as the cohort.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from spkmodel.data.lists import Pair
from spkmodel.verification import scoring
from spkmodel.verification.back_end import BackEnd

UTTERANCES, COHORT, TOP, CROPS = 4708, 5994, 300, 10
MANY, SOME, FEW = 1_000_000, 37_611, 2000


def main() -> None:
    torch.set_num_threads(1)
    print(
        f"processor time of one thread, {UTTERANCES:,} utterances; cohort {COHORT:,}, top {TOP}; "
        f"{CROPS} crops"
    )
    for dim in (192, 512):
        _measure(dim)


def _measure(dim: int) -> None:
    embeddings, crops, back_ends = _drawn(dim)
    many, some, few = (_pairs(count) for count in (MANY, SOME, FEW))
    print(f"-- embeddings of {dim} numbers")
    loop = _report("cosine, a loop over pairs", few, lambda p: _loop(embeddings, p))
    for name, pairs in (("the test list's number", some), ("a million", many)):
        rate = _report(f"cosine, {name}", pairs, lambda p: scoring.score_pairs(embeddings, p))
        print(f"{'':44}{rate / loop:10.0f} x the loop")
    slow = _report(f"{CROPS} x {CROPS} crop distances, a loop", few, lambda p: _cdist(crops, p))
    rate = _report(
        f"{CROPS} x {CROPS} crop distances", some,
        lambda p: scoring.score_pairs(crops, p, "crop_distance"),
    )  # fmt: skip
    print(f"{'':44}{rate / slow:10.1f} x the loop")
    for name, back_end in back_ends.items():
        _report(name, some, partial(back_end.score, embeddings))


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
