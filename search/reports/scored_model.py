"""Scores of a model on a list of pairs, as reports show and compare them; read from a folder.

`evaluate` and `promote` write such folders. Who spoke is in the packed corpus, found by its hash:
without it there is no band around a DET curve and no comparison.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.core.atomic_folder import REPORT, read_report
from search.core.errors import UsageError
from search.core.paths import home
from search.evaluation.evaluate import EvaluationReport
from spkmodel.data.lists import Pair
from spkmodel.verification.subsets import ScoredPairs

if TYPE_CHECKING:
    from spkmodel.data.store import Store

_EVALUATION, _PROMOTION = "spksearch.evaluation/", "spksearch.promotion/"


@dataclass(frozen=True, eq=False)
class ScoredModel:
    """A model's scores of a list of pairs in one condition, with the figures they give."""

    name: str
    condition: str
    pairs: tuple[tuple[str, str], ...]
    """Enrolment and test utterance of each pair, in the order of the scores."""
    scores: np.ndarray
    targets: np.ndarray
    numbers: dict[str, Any]
    """Error rates under the names of `report.json`."""
    listed: dict[str, Any]
    """Name, hash and counts of the list."""
    speakers: tuple[np.ndarray, np.ndarray] | None
    """Of both sides of each pair; None: not known."""
    dev_threshold: float | None = None
    """The threshold chosen on dev pairs; None: none was."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the report says of the model and of how its pairs were scored."""

    def in_order_of(self, other: "ScoredModel") -> np.ndarray:
        """Return the scores in the order of another model's pairs.

        Raises:
            UsageError: if the pairs are others.
        """
        if self.pairs == other.pairs:
            return self.scores
        places = {pair: place for place, pair in enumerate(self.pairs)}
        lacking = next((pair for pair in other.pairs if pair not in places), None)
        if lacking is not None or len(self.pairs) != len(other.pairs):
            what = "" if lacking is None else f", such as {' '.join(lacking)}"
            raise UsageError(
                f"{self.name} and {other.name} were scored on other pairs ({len(self.pairs):,} and "
                f"{len(other.pairs):,}){what}; evaluate both on one list"
            )
        return self.scores[np.array([places[pair] for pair in other.pairs])]

    def scored_pairs(self) -> ScoredPairs | None:
        """Return scores with speakers, for what needs them; None where these are not known."""
        if self.speakers is None:
            return None
        return ScoredPairs(self.scores, self.targets, *self.speakers, self.numbers["threshold"])


def from_evaluation(report: EvaluationReport) -> ScoredModel:
    """Return what `evaluate` has just scored."""
    document, scored = report.document, report.scored
    return ScoredModel(
        name=_name_of(document["model"]["source"], document["condition"]),
        condition=document["condition"],
        pairs=sides_of(report.listed.pairs),
        scores=scored.scores,
        targets=scored.targets,
        numbers=document,
        listed=document["list"],
        speakers=(scored.enrol_speakers, scored.test_speakers),
        dev_threshold=_dev_threshold(document),
        facts=document,
    )


def _name_of(source: str, condition: str) -> str:
    return source if condition == "clean" else f"{source}, {condition}"


def read_folder(folder: Path) -> list[ScoredModel]:
    """Return what a folder of `evaluate` or `promote` holds: one entry for each condition.

    Raises:
        UsageError: if it is not such a folder.
        ListError: for a wrong line of its scores.
    """
    document = read_report(folder)
    schema = "" if document is None else str(document.get("schema", ""))
    if document is None or not schema.startswith((_EVALUATION, _PROMOTION)):
        raise UsageError(
            f"{folder}: not the folder of an evaluation: it has no {REPORT} of `spksearch "
            "evaluate` or `spksearch promote`"
        )
    if schema.startswith(_EVALUATION):
        return [_read_scores(folder, "scores.txt", document, document, document["list"])]
    test = document["test"]
    if test is None:
        raise UsageError(f"{folder}: this model was promoted without test pairs; evaluate it first")
    named = ((name, f"scores{'' if name == 'clean' else f'_{name}'}.txt", numbers)
             for name, numbers in test["conditions"].items())  # fmt: skip
    return [
        _read_scores(folder, file, document, numbers, test["list"]) for _, file, numbers in named
    ]


def is_scored_folder(folder: Path) -> bool:
    """Return whether a folder holds an evaluation or a promotion with scores."""
    document = read_report(folder) if folder.is_dir() else None
    schema = "" if document is None else str(document.get("schema", ""))
    return schema.startswith((_EVALUATION, _PROMOTION)) and (folder / "scores.txt").is_file()


def _read_scores(
    folder: Path,
    file: str,
    document: dict[str, Any],
    numbers: dict[str, Any],
    listed: dict[str, Any],
) -> ScoredModel:
    from spkmodel.verification import score_files

    path = folder / file
    if not path.is_file():
        raise UsageError(f"{folder}: {file} is gone; evaluate the model again")
    found = score_files.read(path, "ours")
    assert found.targets is not None
    store = _find_store(document["corpus_sha256"])
    return ScoredModel(
        name=_name_of(document["model"]["source"], numbers["condition"]),
        condition=numbers["condition"],
        pairs=found.sides,
        scores=found.scores,
        targets=found.targets,
        numbers=numbers,
        listed=listed,
        speakers=None if store is None else find_speakers(found.sides, store),
        dev_threshold=_dev_threshold(numbers),
        facts=document,
    )


def find_speakers(
    sides: tuple[tuple[str, str], ...], store: "Store"
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the speakers of both sides; None if the store lacks an utterance."""
    known = set(store.ids)
    if not all(utterance in known for pair in sides for utterance in pair):
        return None
    return (
        np.array([store.speaker(enrolment) for enrolment, _ in sides]),
        np.array([store.speaker(test) for _, test in sides]),
    )


def sides_of(pairs: tuple[Pair, ...]) -> tuple[tuple[str, str], ...]:
    """Return the utterances of pairs, as files of scores name them."""
    return tuple((pair.enrolment, pair.test) for pair in pairs)


def _dev_threshold(numbers: dict[str, Any]) -> float | None:
    chosen = numbers.get("at_dev_threshold")  # evaluations of before 0.2.0 have none
    return None if chosen is None else float(chosen["threshold"])


def _find_store(sha256: str) -> "Store | None":
    from spkmodel.data.store import Store, StoreError

    folder = home() / "corpora" / sha256[:16]
    try:
        return Store.open(folder) if folder.is_dir() else None
    except (StoreError, OSError):
        return None
