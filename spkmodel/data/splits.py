"""Split speakers between training and pairs, and draw the pairs, by a seed."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from spkmodel.data.lists import CorpusError, Pair, TrainEntry

PAIRS = 6000
_PAIRED_UTTERANCES = 2000
"""About as many are paired at most, so that drawing pairs stays cheap on any corpus."""
_MOST_ASIDE = 100

Entries = list[TrainEntry]


def hold_out_dev(train: Sequence[TrainEntry], seed: int) -> tuple[Entries, list[Pair]]:
    """Take dev speakers out of the training entries; return the rest and balanced dev pairs."""
    rng = np.random.default_rng(seed)
    kept, aside = _part(train, _share(train), rng)
    return kept, balanced_pairs(aside, PAIRS, rng)


def assign_splits(
    entries: Sequence[TrainEntry],
    assigned: Mapping[str, str],
    dev_speakers: int | None,
    test_speakers: int | None,
    rng: np.random.Generator,
) -> dict[str, Entries]:
    """Return the entries of "train", "dev" and "test"; see `corpus.split_corpus`.

    Raises:
        CorpusError: for an assignment to another split, or too few speakers to draw from.
    """
    if wrong := sorted(set(assigned.values()) - {"train", "dev", "test"}):
        raise CorpusError(f"a split is train, dev or test, got {', '.join(wrong)}")
    parts: dict[str, Entries] = {"train": [], "dev": [], "test": []}
    for entry in entries:
        parts[assigned.get(entry.speaker, "train")].append(entry)
    share = _share(parts["train"])
    for name, wanted in (("test", test_speakers), ("dev", dev_speakers)):
        if name not in assigned.values():
            count = share if wanted is None else wanted
            parts["train"], parts[name] = _part(parts["train"], count, rng)
    return parts


def balanced_pairs(
    entries: Sequence[TrainEntry], pairs: int, rng: np.random.Generator
) -> list[Pair]:
    """Draw as many target as non-target pairs, all different, evenly from the speakers."""
    paths: dict[str, list[str]] = {}
    for entry in entries:
        paths.setdefault(entry.speaker, []).append(entry.path)
    # The number of pairs grows with the square of the utterances.
    most = max(2, _PAIRED_UTTERANCES // len(paths))
    chosen = [
        (speaker, mine[i])
        for speaker, mine in enumerate(paths.values())
        for i in rng.permutation(len(mine))[:most]
    ]
    first, second = np.triu_indices(len(chosen), 1)
    speakers = np.array([speaker for speaker, _ in chosen])
    is_target = speakers[first] == speakers[second]
    targets, others = (rng.permutation(np.flatnonzero(kind)) for kind in (is_target, ~is_target))
    count = min(len(targets), len(others), pairs // 2)
    drawn = rng.permutation(np.concatenate([targets[:count], others[:count]]))
    return [
        Pair(bool(is_target[i]), chosen[first[i]][1], chosen[second[i]][1]) for i in drawn.tolist()
    ]


def _share(entries: Sequence[TrainEntry]) -> int:
    return min(max(2, len({entry.speaker for entry in entries}) // 5), _MOST_ASIDE)


def _part(
    entries: Sequence[TrainEntry], speakers: int, rng: np.random.Generator
) -> tuple[Entries, Entries]:
    """Entries that stay, and those of some speakers with two utterances or more."""
    counts = Counter(entry.speaker for entry in entries)
    # Sorted: the order of files on a disk must not decide who is drawn.
    able = sorted(speaker for speaker, count in counts.items() if count >= 2)
    if speakers < 2 or len(able) < speakers or len(counts) < speakers + 2:
        raise CorpusError(
            f"{speakers} speakers cannot be set aside for pairs: it takes at least 2 of them with "
            f"2 utterances each, and 2 others must remain; there are {len(counts)} speakers, "
            f"{len(able)} with 2 utterances or more; add speakers or give lists of pairs"
        )
    aside = {able[i] for i in rng.permutation(len(able))[:speakers]}
    return (
        [entry for entry in entries if entry.speaker not in aside],
        [entry for entry in entries if entry.speaker in aside],
    )
