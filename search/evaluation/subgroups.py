"""Compute error rates of subgroups of pairs, and find the speakers with the highest ones.

Subgroups are made by what the corpus says of speakers and utterances.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.core.errors import UsageError
from search.evaluation.pair_list import PairList
from search.reporting.formatting import format_interval, format_percent
from spkmodel.data import metadata
from spkmodel.data.metadata import DURATION, SPEAKERS, UTTERANCES, Column
from spkmodel.verification import subsets

if TYPE_CHECKING:
    from spkmodel.data.store import Store
    from spkmodel.verification.subsets import ScoredPairs, Subset


@dataclass(frozen=True)
class Subgrouping:
    """The subgroups that one column makes of a list of pairs."""

    column: str
    of: str
    unknown: int
    """Pairs with a side of which the column says nothing; they are in no subgroup."""
    slices: "tuple[Subset, ...]"


def plan_subgroups(asked: str, corpus: Path, store: "Store", listed: PairList) -> list[Subgrouping]:
    """Return the subgroups of `gender,duration:1.5/3`: columns, numbers with edges or in thirds.

    A column of a speaker makes slices of pairs whose sides are both of a group or bin; one of an
    utterance in numbers takes a pair by the lower of its two.

    Raises:
        UsageError: for an unknown column, naming the nearest, or for wrong edges.
        ListError: for a wrong line of the corpus's tables.
    """
    if not asked.strip():
        return []
    seconds = {utterance: store.seconds(utterance) for utterance in listed.utterances}
    columns = {DURATION: metadata.duration(seconds), **metadata.read_columns(corpus)}
    cuts = []
    for part in asked.split(","):
        name, colon, edges = part.strip().partition(":")
        if name not in columns:
            raise UsageError(_describe_unknown(name, columns, corpus))
        cuts.append(
            _group_pairs(
                columns[name], _parse_edges(part.strip(), edges) if colon else None, store, listed
            )
        )
    return cuts


def _describe_unknown(name: str, columns: dict[str, Column], corpus: Path) -> str:
    near = get_close_matches(name, columns, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return (
        f"--by: no column {name!r}; {hint}known are {', '.join(columns)} ({DURATION}, and the "
        f"columns of {SPEAKERS} and {UTTERANCES} in {corpus})"
    )


def _parse_edges(part: str, text: str) -> list[float]:
    try:
        edges = [float(edge) for edge in text.split("/")]
    except ValueError:
        edges = []
    if not edges or not all(map(math.isfinite, edges)) or any(a >= b for a, b in pairwise(edges)):
        raise UsageError(
            f"--by {part}: edges are rising numbers parted by /, such as {DURATION}:1.5/3"
        )
    return edges


def _group_pairs(
    column: Column, edges: list[float] | None, store: "Store", listed: PairList
) -> Subgrouping:
    numbers = column.numbers()
    if numbers is None:
        if edges is not None:
            raise UsageError(
                f"--by {column.name}:...: a column of words has groups and takes no edges"
            )
        found, unknown = _make_groups(
            column.name, _collect_sides(column, column.words, "", store, listed)
        )
    else:
        sides = np.array(_collect_sides(column, numbers, math.nan, store, listed), dtype=np.float64)
        found, unknown = _make_bins(column, sides.reshape(2, -1), edges, store, listed)
    if unknown == len(listed.pairs):
        what = "speakers" if column.kind == "speaker" else "utterances as the lists do"
        raise UsageError(
            f"--by {column.name}: {column.path.name} says it of no pair's both sides in "
            f"{listed.name}; its first column names {what}"
        )
    return Subgrouping(column.name, column.kind, unknown, tuple(found))


def _collect_sides(
    column: Column, values: Any, missing: Any, store: "Store", listed: PairList
) -> list[list[Any]]:
    """Return the column's value of each pair's enrolment, and of each pair's test."""

    def value_of(utterance: str) -> Any:
        key = store.speaker(utterance) if column.kind == "speaker" else utterance
        return values.get(key, missing)

    known = {utterance: value_of(utterance) for utterance in listed.utterances}
    return [
        [known[pair.enrolment] for pair in listed.pairs],
        [known[pair.test] for pair in listed.pairs],
    ]


def _make_groups(name: str, sides: Sequence[Sequence[str]]) -> "tuple[list[Subset], int]":
    one, other = sides
    unknown = sum(not (a and b) for a, b in zip(one, other, strict=True))
    return subsets.subsets_by_group(name, one, other), unknown


def _make_bins(
    column: Column, sides: np.ndarray, edges: list[float] | None, store: "Store", listed: PairList
) -> "tuple[list[Subset], int]":
    unknown = int(np.isnan(sides).any(axis=0).sum())
    if column.kind == "utterance":
        one, other = sides
        cut_at = subsets.lower_quantile_edges(one, other) if edges is None else edges
        return subsets.subsets_by_bin(column.name, one, other, cut_at), unknown
    if edges is None:
        numbers = column.numbers() or {}
        speakers = {store.speaker(utterance) for utterance in listed.utterances}
        edges = subsets.quantile_edges(
            np.array([n for who, n in numbers.items() if who in speakers])
        )
    names = subsets.bin_names(column.name, edges)
    words = [
        [names[place] if place >= 0 else "" for place in subsets.assign_bins(side, edges)]
        for side in sides
    ]
    return subsets.subsets_by_group(column.name, words[0], words[1], names), unknown


# --- figures ---------------------------------------------------------------------------------


def measure_subgroups(cuts: Sequence[Subgrouping], scored: "ScoredPairs") -> list[dict[str, Any]]:
    """Return every column with the error rates of its subgroups, for a report."""
    return [
        {
            "column": cut.column,
            "of": cut.of,
            "unknown_pairs": cut.unknown,
            "slices": [asdict(subsets.measure_subset(each, scored)) for each in cut.slices],
        }
        for cut in cuts
    ]


def find_worst_speakers(scored: "ScoredPairs", count: int) -> dict[str, Any]:
    """Return the speakers with the highest error rates, at the threshold of the whole list."""
    found, ranked = subsets.find_worst_speakers(scored, count)
    return {
        "ranked": ranked,
        "least_pairs_of_a_class": subsets.LEAST_OF_A_SPEAKER,
        "speakers": [asdict(each) for each in found],
    }


def format_subgroups(
    columns: Sequence[dict[str, Any]], worst_speakers: dict[str, Any] | None
) -> list[str]:
    """Return subgroups and speakers as lines; rates are at the threshold of the whole list."""
    said = []
    for column in columns:
        unknown = column["unknown_pairs"]
        rows = [_format_subgroup(each) for each in column["slices"]]
        name = f"by {column['column']}" + (f" ({unknown:,} pairs unknown)" if unknown else "")
        said += _align([(name, *_SLICE_HEADINGS), *rows])
    if worst_speakers is not None:
        named = worst_speakers["speakers"]
        said.append(
            f"worst {len(named)} of the {worst_speakers['ranked']} speakers that have "
            f"{worst_speakers['least_pairs_of_a_class']} pairs or more of both classes"
        )
        said += _align([("speaker", *_SPEAKER_HEADINGS), *map(_format_speaker, named)])
    return said


_SLICE_HEADINGS = ("EER", "95 %", "misses", "false alarms", "pairs", "target", "speakers", "holds")
_SPEAKER_HEADINGS = ("misses", "of", "false alarms", "of", "of all misses")


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align columns to their widest cell: numbers to the right, first and last words left."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    said = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        if len(row) > len(_SPEAKER_HEADINGS) + 1:
            cells[-1] = row[-1]
        said.append("  " + "  ".join(cells))
    return said


def _format_subgroup(each: dict[str, Any]) -> tuple[str, ...]:
    has_eer = each["eer"] is not None
    return (
        each["name"],
        format_percent(each["eer"]) if has_eer else "none",
        format_interval(each["eer_low"], each["eer_high"]),
        *(
            "" if each[key] is None else format_percent(each[key])
            for key in ("miss", "false_alarm")
        ),
        f"{each['pairs']:,}",
        f"{each['targets']:,}",
        f"{each['speakers']:,}",
        each["holds"] if has_eer else f"{each['holds']}; no EER: {each['why_not']}",
    )


def _format_speaker(each: dict[str, Any]) -> tuple[str, ...]:
    return (
        each["speaker"],
        format_percent(each["miss"]),
        f"{each['targets']:,}",
        format_percent(each["false_alarm"]),
        f"{each['non_targets']:,}",
        format_percent(each["share_of_misses"]),
    )
