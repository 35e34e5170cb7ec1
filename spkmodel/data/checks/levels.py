"""Say which utterances are silent, and which were above full scale."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from spkmodel.core.shell import quote_path
from spkmodel.data.corpus import Corpus
from spkmodel.data.formats.other_lists import without_utterances
from spkmodel.data.lists import DEV_LIST, TEST_LIST, TRAIN_LIST

_LISTS = {"train": TRAIN_LIST, "dev": DEV_LIST, "test": TEST_LIST}
_PLAIN = re.compile(r"[\w./+:@%=-]+", re.ASCII)
_MOST_IN_COMMAND = 20
_FIRST = 10


def describe_silent(corpus: Corpus, path: str, folder: Path) -> str:
    """Return what is wrong with a silent utterance of a folder, and which pairs it is in."""
    pairs = " and ".join(split for split in corpus.splits_of(path) if split != "train")
    where = quote_path(folder / path)
    return f"{where}: silent, its peak is below a thousandth of full scale" + (
        f"; its {pairs} pairs measure nothing" if pairs else ""
    )


def silence_remedy(corpus: Corpus, silent: Sequence[str]) -> str:
    """Return the command that takes silent utterances off the lists, or out of the layout."""
    found = [
        corpus.folder / name
        for split, name in _LISTS.items()
        if (corpus.folder / name).is_file() and not {*silent}.isdisjoint(corpus.of_split(split))
    ]
    if not found:
        moves = [
            f"mv {quote_path(file)} {quote_path(f'{file}.silent')}"
            for file in (corpus.folder / path for path in silent[:_MOST_IN_COMMAND])
        ]
        return " && ".join(moves)
    if len(silent) > _MOST_IN_COMMAND or not all(map(_PLAIN.fullmatch, silent)):
        return "take them and their pairs off the lists, or record them again"
    return " && ".join(without_utterances(path, silent) for path in found)


def describe_scaled(folder: Path, peaks: Mapping[str, float]) -> str:
    """Return which utterances were above full scale, the first ones by name."""
    some = ", ".join(
        f"{quote_path(folder / path)} ({peak:.3g})" for path, peak in list(peaks.items())[:_FIRST]
    )
    more = f" and {len(peaks) - _FIRST} more" if len(peaks) > _FIRST else ""
    return (
        f"{len(peaks)} utterances have samples above full scale and are divided by the largest: "
        f"{some}{more}"
    )
