"""What a list of pairs says of a model: error rates, beside systems without a network.

Used by `evaluate` and `promote`; both write the same pictures and score files.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.core.errors import UsageError
from search.core.progress import Display
from search.evaluation.pair_list import PairList, counts
from search.evaluation.verifier import REPLICATES, Verifier
from search.reporting import det_figure, formatting
from spkmodel.core.condition_names import SOMEWHERE

if TYPE_CHECKING:
    from spkmodel.augment.conditions import Condition
    from spkmodel.data.store import Store
    from spkmodel.verification.baselines import Floor
    from spkmodel.verification.embed_and_score import Verdict

DEFINITIONS = (
    "Rates are fractions. eer: linear interpolation on the ROC, ties merged; eer_clova: nearest "
    "point, the larger of both rates; eer_rocch: on the ROC convex hull. Interval: 95 %, bootstrap "
    f"over speakers, {REPLICATES:,} replicates. min_dcf: normalised, unit costs. min_cllr: bits, "
    "after pooling adjacent violators. A pair is accepted if its score is at least the threshold."
)


@dataclass(frozen=True)
class Judgement:
    """One condition's figures and the scores they come from."""

    condition: str
    numbers: dict[str, Any]
    """What goes into the report."""
    scores: np.ndarray
    targets: np.ndarray
    floors: "tuple[Floor, ...]"

    def curve(self) -> det_figure.Curve:
        """What the pictures show."""
        numbers = self.numbers
        return det_figure.Curve(
            name=self.condition,
            scores=self.scores,
            targets=self.targets,
            eer=numbers["eer"],
            low=numbers["eer_low"],
            high=numbers["eer_high"],
            threshold=numbers["threshold"],
            floors=tuple(
                det_figure.Baseline(
                    floor.name.partition(" (")[0], floor.eer, np.asarray(floor.scores)
                )
                for floor in self.floors
            ),
        )


def judge(
    verifier: Verifier,
    store: "Store",
    pairs: PairList,
    condition: "Condition",
    noise: Path | None,
    rooms: Path | None,
    display: Display,
) -> Judgement:
    """Embed the utterances as they sound in `condition`, score the pairs, compute the floors."""
    from spkmodel.verification import baselines as floors

    began = time.monotonic()
    heard = sounding(store, pairs, condition, noise, rooms, display)
    verdict = verifier.judge(heard, pairs, f"embedding, {condition}", display)
    with display.task(f"floors, {condition}", "utterances") as progress:
        found = tuple(
            floors.compute(store, heard, pairs.pairs, condition, noise, rooms, progress=progress)
        )
    numbers = figures_of(verdict) | {
        "condition": condition,
        "surroundings": _fingerprint(noise, rooms) if condition in SOMEWHERE else "",
        "floors": [_floor(floor, verdict.targets) for floor in found],
        "seconds": round(time.monotonic() - began, 2),
    }
    return Judgement(condition, numbers, verdict.scores, verdict.targets, found)


def sounding(
    store: "Store",
    pairs: PairList,
    condition: "Condition",
    noise: Path | None,
    rooms: Path | None,
    display: Display,
) -> "Store":
    """The store of the same utterances in a condition, with the surroundings of their split.

    Raises:
        UsageError: if the pairs mix splits, so that no split's surroundings are theirs.
    """
    from spkmodel.augment import conditions

    if condition == "clean":
        return store
    if pairs.split != "dev" and pairs.split != "test":
        raise UsageError(
            f"{pairs.name}: the {condition} condition needs pairs of dev utterances only, or of "
            f"test utterances only (its store is made for a split), but these are of "
            f"{pairs.split or 'several splits'}; use --condition clean, or another list"
        )
    with display.task(f"putting utterances into the {condition} condition", "utterances") as report:
        return conditions.conditioned_store(store, pairs.split, condition, noise, rooms, report)


def write_pictures(
    folder: Path, judgements: Sequence[Judgement], title: str, facts: Mapping[str, Any]
) -> None:
    """`det.png` and `histogram.png`."""
    subtitle = counts(facts)
    curves = [judgement.curve() for judgement in judgements]
    det_figure.draw_det(folder / "det.png", curves, title, subtitle)
    det_figure.draw_histogram(folder / "histogram.png", curves, title, subtitle)


def lines_of(numbers: Mapping[str, Any]) -> list[str]:
    """One condition's figures for people: the network, then what it has to beat."""
    percent = formatting.format_percent
    head = (
        f"{numbers['condition']}: EER {percent(numbers['eer'])} (95 %: "
        f"{percent(numbers['eer_low'])} to {percent(numbers['eer_high'])})  minDCF .01 "
        f"{numbers['min_dcf_p01']:.3f}  .05 {numbers['min_dcf_p05']:.3f}  threshold "
        f"{numbers['threshold']:.4f}"
    )
    return [head, *(f"  {f['name']}: EER {percent(f['eer'])}" for f in numbers["floors"])]


def figures_of(verdict: "Verdict") -> dict[str, Any]:
    """The error rates and the threshold, under their names in a report."""
    from spkmodel.verification import calibration, metrics

    scores, targets = verdict.scores, verdict.targets
    return {
        "eer": verdict.eer,
        "eer_low": verdict.low,
        "eer_high": verdict.high,
        "eer_clova": metrics.eer_clova(scores, targets),
        "eer_rocch": metrics.eer_rocch(scores, targets),
        "min_dcf_p01": verdict.min_dcf_p01,
        "min_dcf_p05": verdict.min_dcf_p05,
        "min_cllr": calibration.min_cllr(scores, targets),
        "threshold": verdict.threshold,
    }


def _floor(floor: "Floor", targets: np.ndarray) -> dict[str, Any]:
    from spkmodel.verification import metrics

    scores = np.asarray(floor.scores)
    return {
        "name": floor.name,
        "eer": floor.eer,
        "eer_low": floor.low,
        "eer_high": floor.high,
        "min_dcf_p01": metrics.min_dcf(scores, targets, p_target=0.01),
        "min_dcf_p05": metrics.min_dcf(scores, targets, p_target=0.05),
    }


def _fingerprint(noise: Path | None, rooms: Path | None) -> str:
    from spkmodel.augment.noise_and_rooms import fingerprint

    return fingerprint(noise, rooms)
