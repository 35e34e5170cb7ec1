"""Count and describe pairs that are no evidence of their own, for evaluations and launches."""

from collections.abc import Sequence

from spkmodel.data.checks.pair_check import find_repeats
from spkmodel.data.lists import Pair


def find_self_pairs(pairs: Sequence[Pair]) -> list[int]:
    """Return the lines, from 1, of pairs of an utterance with itself: any verifier accepts them."""
    return _lines_of(pairs, "self_pair")


def find_repeated_pairs(pairs: Sequence[Pair]) -> list[int]:
    """Return the lines, from 1, of pairs that were there before, in either order of sides."""
    return _lines_of(pairs, "repeated_pair")


def _lines_of(pairs: Sequence[Pair], wanted: str) -> list[int]:
    return [line for line, kind, _ in find_repeats(enumerate(pairs, 1)) if kind == wanted]


def describe_pairs_without_evidence(pairs: Sequence[Pair], name: str) -> list[str]:
    """Return a warning for each kind of such pairs in a list, with the first lines."""
    found = (
        (find_self_pairs(pairs), "pair an utterance with itself, which every model accepts"),
        (find_repeated_pairs(pairs), "repeat an earlier pair"),
    )
    return [
        f"{name}: {len(lines)} of {len(pairs)} lines {what} (line {_format_lines(lines)}); they "
        "are counted, and bias the EER: remove them"
        for lines, what in found
        if lines
    ]


def _format_lines(lines: Sequence[int]) -> str:
    return ", ".join(map(str, lines[:10])) + (", ..." if len(lines) > 10 else "")
