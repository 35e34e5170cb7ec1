"""Compare a model with the one that an alias points to, on the same pairs, and decide.

What both have in common, such as a hard speaker, cancels in the difference; its interval is over
the draw of speakers (`spkmodel.verification.intervals`).
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from search.core.errors import GateNotMet
from search.models import registry
from search.models.registry import AliasHolder
from search.reporting.formatting import format_percent

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from spkmodel.data.store import Store
    from spkmodel.verification.intervals import SpeakerInterval

LEAST_SPEAKERS = 10
"""Of fewer speakers the gate decides nothing, whatever the interval: `bench.luck` measures it."""

Verdict = Literal["better", "not shown to be better", "cannot decide"]

_TOLERANCE = 1e-5
"""Between the EER of the stored scores and the one that the version's tag says (six digits)."""


@dataclass(frozen=True)
class Comparison:
    """Two models on the same pairs in one condition; differences are new minus old."""

    condition: str
    eer: float
    other_eer: float
    difference: float
    low: float | None
    high: float | None
    speakers: int
    why_no_interval: str

    @property
    def verdict(self) -> Verdict:
        """Whether the new model is better: its whole 95 % interval lies below 0."""
        return decide_by_interval(self.low, self.high, self.speakers)

    def as_json(self) -> dict[str, Any]:
        """Return the fields and the verdict."""
        return {**asdict(self), "verdict": self.verdict}

    def format(self) -> str:
        """Return one line for people."""
        difference = f"difference {100 * self.difference:+.2f} points"
        if self.low is None or self.high is None:
            interval = f"no interval: {self.why_no_interval}"
        else:
            interval = (
                f"95 %: {100 * self.low:+.2f} to {100 * self.high:+.2f}, {self.speakers} speakers"
            )
        return (
            f"{self.condition}: EER {format_percent(self.eer)} here, "
            f"{format_percent(self.other_eer)} there; {difference} ({interval}): {self.verdict}"
        )


def decide_by_interval(low: float | None, high: float | None, speakers: int) -> Verdict:
    """Decide by the interval of eer(new) - eer(old)."""
    if low is None or high is None or speakers < LEAST_SPEAKERS:
        return "cannot decide"
    return "better" if high < 0 else "not shown to be better"


def compare_scores(
    condition: str,
    scores: np.ndarray,
    other_scores: np.ndarray,
    targets: np.ndarray,
    enrol_speakers: Sequence[str],
    test_speakers: Sequence[str],
) -> Comparison:
    """Compare the scores that two models give the same pairs."""
    from spkmodel.verification import intervals, metrics

    interval: SpeakerInterval = intervals.difference_interval(
        scores, other_scores, targets, enrol_speakers, test_speakers
    )
    eer, other = metrics.eer(scores, targets), metrics.eer(other_scores, targets)
    return Comparison(
        condition, eer, other, eer - other, interval.low, interval.high, interval.speakers,
        interval.why_not,
    )  # fmt: skip


def compare_with_holder(
    client: "MlflowClient",
    holder: AliasHolder,
    folder: Path,
    document: Mapping[str, Any],
    store: "Store",
) -> tuple[list[Comparison], str]:
    """Compare a promoted folder with an alias's holder, in every condition.

    Returns:
        The comparisons, and why there are none.
    """
    test = document["test"]
    if test is None:
        return [], "the corpus has no test pairs"
    there = read_report(client, holder)
    if there.get("test") is None or there["test"]["list"]["sha256"] != test["list"]["sha256"]:
        return [], "it was evaluated on other pairs"
    if there.get("scoring") != document["scoring"]:
        return [], f"it was scored in another way: {there.get('scoring')}"
    found = []
    for condition, numbers in test["conditions"].items():
        known = there["test"]["conditions"].get(condition)
        # Other noise and rooms make other recordings of the same pairs.
        if known is None or known["surroundings"] != numbers["surroundings"]:
            continue
        name = "scores.txt" if condition == "clean" else f"scores_{condition}.txt"
        raw = registry.read_promotion_file(client, holder, name)
        if raw is None:
            continue
        here, other = _read_scores((folder / name).read_bytes()), _read_scores(raw)
        compared = _compare_files(condition, here, other, store)
        _require_recorded_eer(holder, condition, compared.other_eer)
        found.append(compared)
    return found, "" if found else "no scores of these pairs are stored with it"


@dataclass(frozen=True, eq=False)
class _Scores:
    sides: list[tuple[str, str]]
    targets: np.ndarray
    scores: np.ndarray


def _read_scores(raw: bytes) -> _Scores:
    """Read a file of the form `label enrolment test score`."""
    rows = [line.rsplit(maxsplit=3) for line in io.StringIO(raw.decode("utf-8"))]
    return _Scores(
        [(row[1], row[2]) for row in rows],
        np.array([row[0] == "1" for row in rows]),
        np.array([float(row[3]) for row in rows]),
    )


def _compare_files(condition: str, here: _Scores, other: _Scores, store: "Store") -> Comparison:
    if here.sides != other.sides:
        raise GateNotMet(
            "the scores that are stored with the version that the alias points to are of other "
            "pairs than its report says: they were changed; give the alias by hand if that is right"
        )
    return compare_scores(
        condition,
        here.scores,
        other.scores,
        here.targets,
        [store.speaker(enrolment) for enrolment, _ in here.sides],
        [store.speaker(test) for _, test in here.sides],
    )


def _require_recorded_eer(holder: AliasHolder, condition: str, eer: float) -> None:
    prefix = "test" if condition == "clean" else f"{condition}_test"
    recorded = holder.tags.get(f"{prefix}_eer")
    if recorded is not None and abs(float(recorded) - eer) > _TOLERANCE:
        raise GateNotMet(
            f"{holder.exact_uri}: its stored scores have an EER of {eer:.6f} ({condition}), but "
            f"{recorded} is registered: they were changed or damaged, and decide nothing"
        )


def read_report(client: "MlflowClient", holder: AliasHolder) -> dict[str, Any]:
    """Return the report that `promote` stored with a version; empty if there is none."""
    raw = registry.read_promotion_file(client, holder, "report.json")
    return {} if raw is None else dict(json.loads(raw))
