"""Read and write files of scores in the forms of other tools, one pair a line.

ours: `label enrolment test score`, label 1 or 0, every digit. lab: `score enrolment test` with 4
decimals, as voxceleb_trainer wrote (2020). kaldi: `enrolment test score`, every digit. wespeaker:
`enrolment test score target|nontarget` with 5 decimals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Bool, Float

from spkmodel.data.formats.utterance_path import utterance_problem
from spkmodel.data.lists import ListError, Pair, numbered_lines

Form: TypeAlias = Literal["ours", "lab", "kaldi", "wespeaker"]
FORMS: tuple[Form, ...] = get_args(Form)

_LINES = {
    "ours": "{label} {enrolment} {test} {score}",
    "lab": "{score} {enrolment} {test}",
    "kaldi": "{enrolment} {test} {score}",
    "wespeaker": "{enrolment} {test} {score} {label}",
}
_DECIMALS = {"lab": 4, "wespeaker": 5}
"""Of the forms that round; the others keep every digit."""
_LABELS = {"ours": ("0", "1"), "wespeaker": ("nontarget", "target")}
"""For non-target and target; the other forms have none."""


@dataclass(frozen=True, eq=False)
class ScoreFile:
    """What a file holds, line by line."""

    path: Path
    sides: tuple[tuple[str, str], ...]
    """Enrolment and test."""
    scores: Float[np.ndarray, " pairs"]
    targets: Bool[np.ndarray, " pairs"] | None
    """None for a form without labels."""

    def scores_of(self, pairs: Sequence[Pair]) -> Float[np.ndarray, " pairs"]:
        """Return the scores in the order of the pairs; the file may have others besides.

        Raises:
            ListError: if a pair is not in the file, or its label there is another.
        """
        places = {sides: place for place, sides in enumerate(self.sides)}
        found = [places.get((pair.enrolment, pair.test)) for pair in pairs]
        for pair, place in zip(pairs, found, strict=True):
            if place is None:
                raise ListError(
                    self.path,
                    len(self.sides),
                    f"no score of {pair.enrolment} {pair.test} ({found.count(None)} of "
                    f"{len(pairs)} pairs have none)",
                )
            if self.targets is not None and bool(self.targets[place]) != pair.target:
                raise ListError(
                    self.path,
                    place + 1,
                    f"{pair.enrolment} {pair.test} is of the other class in the list of pairs",
                )
        return self.scores[np.array(found, dtype=np.int64)]


def write(
    path: Path,
    form: Form,
    pairs: Sequence[Pair],
    scores: Float[np.ndarray, " pairs"],
    exact: bool = False,
) -> None:
    """Write the scores of pairs; `exact` keeps every digit in the forms that round."""
    decimals = None if exact else _DECIMALS.get(form)
    labels = _LABELS.get(form, ("", ""))
    line = _LINES[form] + "\n"
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for pair, score in zip(pairs, scores.tolist(), strict=True):
            out.write(
                line.format(
                    score=repr(score) if decimals is None else f"{score:.{decimals}f}",
                    enrolment=pair.enrolment,
                    test=pair.test,
                    label=labels[pair.target],
                )
            )


def read(path: Path, form: Form) -> ScoreFile:
    """Read what `write`, or the tool whose form it is, wrote.

    Raises:
        ListError: for the first line that is not of the form, or a pair that is there twice.
    """
    columns = [column.strip("{}") for column in _LINES[form].split()]
    sides: dict[tuple[str, str], int] = {}
    scores: list[float] = []
    targets: list[bool] = []
    for number, text in numbered_lines(path):
        fields = text.split()
        if len(fields) != len(columns):
            raise ListError(
                path, number, f"{len(fields)} columns; a line is '{' '.join(columns)}' ({form})"
            )
        cells = dict(zip(columns, fields, strict=True))
        pair = _side(path, number, cells["enrolment"]), _side(path, number, cells["test"])
        if pair in sides:
            raise ListError(path, number, f"{' '.join(pair)} is already on line {sides[pair]}")
        sides[pair] = number
        scores.append(_score(path, number, cells["score"]))
        if form in _LABELS:
            targets.append(_target(path, number, cells["label"], _LABELS[form]))
    known = np.array(targets, dtype=bool) if form in _LABELS else None
    return ScoreFile(path, tuple(sides), np.array(scores), known)


def detect_form(path: Path) -> Form:
    """Detect the form of a file by its first line.

    Raises:
        ListError: if it is of none, or of two.
    """
    fields = next(numbered_lines(path))[1].split()
    match [_is_number(field) for field in fields]:
        case [True, False, False]:
            return "lab"
        case [False, False, True]:
            return "kaldi"
        case [_, _, _, True] if fields[0] in _LABELS["ours"]:
            return "ours"
        case [_, _, True, False] if fields[3] in _LABELS["wespeaker"]:
            return "wespeaker"
    known = "; ".join(
        f"{form}: {line.replace('{', '').replace('}', '')}" for form, line in _LINES.items()
    )
    raise ListError(path, 1, f"{' '.join(fields)!r} is no line of a score file; {known}")


def _side(path: Path, number: int, text: str) -> str:
    if problem := utterance_problem(text):
        raise ListError(path, number, problem)
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _score(path: Path, number: int, text: str) -> float:
    score = float(text) if _is_number(text) else math.nan
    if not math.isfinite(score):
        raise ListError(path, number, f"score {text!r} is not a finite number")
    return score


def _target(path: Path, number: int, text: str, labels: tuple[str, str]) -> bool:
    if text not in labels:
        raise ListError(path, number, f"label {text!r} is neither {labels[1]} nor {labels[0]}")
    return text == labels[1]
