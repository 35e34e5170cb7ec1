"""Score a list of pairs and compute its error rates, beside those of baselines without a network.

Used by `evaluate` and `promote`, which draw the same figures.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.core.errors import UsageError
from search.core.progress import Display
from search.evaluation import baseline_cache
from search.evaluation.baseline_cache import Recordings
from search.evaluation.pair_list import PairList, format_counts
from search.evaluation.verifier import Verifier
from search.reporting import det_figure, formatting
from spkmodel.core.condition_names import SOMEWHERE

if TYPE_CHECKING:
    from spkmodel.augment.conditions import Condition
    from spkmodel.data.store import Store
    from spkmodel.verification.baselines import Baseline
    from spkmodel.verification.embed_and_score import Verdict

DEFINITIONS = (
    "Rates are fractions. eer: linear interpolation on the ROC, ties merged; eer_clova: nearest "
    "point, the larger of both rates; eer_rocch: on the ROC convex hull. Interval: 95 % over the "
    "draw of speakers, by influence functions; null with fewer than 5 speakers. min_dcf: "
    "normalised, unit costs. min_cllr: bits, after pooling adjacent violators. A pair is accepted "
    "if its score is at least the threshold."
)


@dataclass(frozen=True)
class PairEvaluation:
    """The error rates of pairs in one condition, and the scores they were computed from."""

    condition: str
    numbers: dict[str, Any]
    """The part of the report that is of this condition."""
    scores: np.ndarray
    targets: np.ndarray
    baselines: "tuple[Baseline, ...]"

    def curve(self, dev_threshold: float | None = None) -> det_figure.Curve:
        """Return what the figures show, with the threshold that was chosen on dev pairs, if any."""
        numbers = self.numbers
        return det_figure.Curve(
            name=self.condition,
            scores=self.scores,
            targets=self.targets,
            eer=numbers["eer"],
            low=numbers["eer_low"],
            high=numbers["eer_high"],
            threshold=numbers["threshold"],
            dev_threshold=dev_threshold,
            baselines=tuple(
                det_figure.Baseline(
                    baseline.name.partition(" (")[0], baseline.eer, np.asarray(baseline.scores)
                )
                for baseline in self.baselines
            ),
        )


def evaluate_pairs(
    verifier: Verifier,
    store: "Store",
    pairs: PairList,
    condition: "Condition",
    recordings: Recordings,
    display: Display,
) -> PairEvaluation:
    """Embed the utterances as they sound in `condition`, score the pairs, compute the baselines."""
    began = time.monotonic()
    conditioned = apply_condition(store, pairs, condition, recordings, display)
    verdict = verifier.score_pairs(conditioned, pairs, f"embedding, {condition}", display)
    found = baseline_cache.find_or_compute(
        store, conditioned, pairs, condition, recordings, display
    )
    numbers = compute_error_rates(verdict) | {
        "condition": condition,
        "surroundings": recordings.fingerprint() if condition in SOMEWHERE else "",
        "floors": [_describe_baseline(baseline, verdict.targets) for baseline in found],
        "seconds": round(time.monotonic() - began, 2),
    }
    return PairEvaluation(condition, numbers, verdict.scores, verdict.targets, found)


def apply_condition(
    store: "Store",
    pairs: PairList,
    condition: "Condition",
    recordings: Recordings,
    display: Display,
) -> "Store":
    """Return a store of the same utterances as they sound in a condition.

    Ambiences and rooms are those that are set aside for the split of the pairs.

    Raises:
        UsageError: if the pairs mix splits, so that the recordings of no split are theirs.
    """
    from spkmodel.augment import conditions

    if condition == "clean":
        return store
    # Ambiences and rooms of train, dev and test are different recordings: a model must not be
    # tested with those that it was trained with.
    if pairs.split != "dev" and pairs.split != "test":
        raise UsageError(
            f"{pairs.name}: the {condition} condition needs pairs of dev utterances only, or of "
            f"test utterances only (its store is made for a split), but these are of "
            f"{pairs.split or 'several splits'}; use --condition clean, or another list"
        )
    with display.task(f"putting utterances into the {condition} condition", "utterances") as report:
        return conditions.conditioned_store(
            store, pairs.split, condition, recordings.noise, recordings.rooms, report
        )


def draw_figures(
    folder: Path,
    evaluations: Sequence[PairEvaluation],
    title: str,
    facts: Mapping[str, Any],
    dev_threshold: float | None = None,
) -> None:
    """Draw `det.png` and `histogram.png` into a folder."""
    subtitle = format_counts(facts)
    curves = [evaluation.curve(dev_threshold) for evaluation in evaluations]
    det_figure.draw_det(folder / "det.png", curves, title, subtitle)
    det_figure.draw_histogram(folder / "histogram.png", curves, title, subtitle)


def format_numbers(numbers: Mapping[str, Any]) -> list[str]:
    """Return one condition's error rates as lines: the network, then the baselines."""
    percent = formatting.format_percent
    head = (
        f"{numbers['condition']}: EER {percent(numbers['eer'])} ({_describe_interval(numbers)})  "
        f"minDCF .01 {numbers['min_dcf_p01']:.3f}  .05 {numbers['min_dcf_p05']:.3f}  threshold at "
        f"this EER {numbers['threshold']:.4f}"
    )
    worse = describe_better_baselines([numbers])
    chosen = numbers.get("at_dev_threshold")
    return [
        *([_describe_chosen(numbers["condition"], chosen)] if chosen else []),
        head,
        *(f"  {floor['name']}: EER {percent(floor['eer'])}" for floor in numbers["floors"]),
        *([f"  warning: worse than no network: {worse}"] if worse else []),
    ]


def describe_better_baselines(conditions: Iterable[Mapping[str, Any]]) -> str:
    """Return the baselines that a model is not better than; empty if it is better than all.

    Such as `mismatched: EER 37.40 %, mel statistics, LDA 20.51 %`.
    """
    percent, found = formatting.format_percent, []
    for numbers in conditions:
        better = [floor for floor in numbers["floors"] if floor["eer"] <= numbers["eer"]]
        if better:
            names = "; ".join(f"{floor['name']} {percent(floor['eer'])}" for floor in better)
            found.append(f"{numbers['condition']}: EER {percent(numbers['eer'])}, {names}")
    return " | ".join(found)


def _describe_chosen(condition: str, chosen: Mapping[str, Any]) -> str:
    percent = formatting.format_percent
    return (
        f"{condition}: at the threshold chosen on dev pairs, {chosen['threshold']:.4f}: misses "
        f"{percent(chosen['miss'])}, false alarms {percent(chosen['false_alarm'])}"
    )


def _describe_interval(numbers: Mapping[str, Any]) -> str:
    if numbers["eer_low"] is None:
        return f"no interval: {numbers['why_no_interval']}"
    low, high = formatting.format_percent(numbers["eer_low"]), numbers["eer_high"]
    return f"95 %: {low} to {formatting.format_percent(high)}, {numbers['speakers']} speakers"


def compute_error_rates(verdict: "Verdict") -> dict[str, Any]:
    """Return the error rates and the threshold, under their names in a report."""
    from spkmodel.verification import calibration, metrics

    scores, targets = verdict.scores, verdict.targets
    return {
        "eer": verdict.eer,
        "eer_low": verdict.low,
        "eer_high": verdict.high,
        "speakers": verdict.speakers,
        "why_no_interval": verdict.why_no_interval,
        "eer_clova": metrics.eer_clova(scores, targets),
        "eer_rocch": metrics.eer_rocch(scores, targets),
        "min_dcf_p01": verdict.min_dcf_p01,
        "min_dcf_p05": verdict.min_dcf_p05,
        "min_cllr": calibration.min_cllr(scores, targets),
        "threshold": verdict.threshold,
    }


def _describe_baseline(baseline: "Baseline", targets: np.ndarray) -> dict[str, Any]:
    from spkmodel.verification import metrics

    scores = np.asarray(baseline.scores)
    return {
        "name": baseline.name,
        "eer": baseline.eer,
        "eer_low": baseline.low,
        "eer_high": baseline.high,
        "speakers": baseline.speakers,
        "why_no_interval": baseline.why_no_interval,
        "min_dcf_p01": metrics.min_dcf(scores, targets, p_target=0.01),
        "min_dcf_p05": metrics.min_dcf(scores, targets, p_target=0.05),
    }
