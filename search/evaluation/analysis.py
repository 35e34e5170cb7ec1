"""Compute what an evaluation reports besides error rates, planned before anything is embedded.

Calibration on other pairs, error rates of subgroups of speakers and utterances, the speakers with
the highest error rates, and the comparison with another system's scores of the same pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.core.errors import UsageError
from search.core.progress import Display
from search.evaluation import pair_list, subgroups
from search.evaluation.baseline_cache import Recordings
from search.evaluation.pair_evaluation import PairEvaluation, apply_condition
from search.evaluation.pair_list import PairList
from search.evaluation.verifier import Verifier
from search.reporting.formatting import format_percent

if TYPE_CHECKING:
    from spkmodel.augment.conditions import Condition
    from spkmodel.data.store import Store
    from spkmodel.verification.score_files import Form, ScoreFile
    from spkmodel.verification.subsets import ScoredPairs

PRIOR = 0.5


@dataclass(frozen=True)
class AnalysisRequest:
    """The analysis that was asked for.

    Raises:
        UsageError: for a flag that means nothing without another.
    """

    calibrate_on: Path | None = None
    """A list of pairs whose scores the calibration is fitted on."""
    prior: float | None = None
    """The prior of a target, for the calibration; None: 0.5."""
    by: str = ""
    """Columns with edges, see `subgroups.plan_subgroups`."""
    worst: int = 0
    """How many of the speakers with the highest error rates to name."""
    against: Path | None = None
    """A file of another system's scores."""
    score_format: "Form" = "ours"
    exact_scores: bool = False

    def __post_init__(self) -> None:
        if self.prior is not None and self.calibrate_on is None:
            raise UsageError("--prior belongs to --calibrate-on FILE")
        if self.prior is not None and not 0 < self.prior < 1:
            raise UsageError(f"--prior must lie between 0 and 1, got {self.prior:g}")
        if self.exact_scores and self.score_format not in ("lab", "wespeaker"):
            raise UsageError(
                "--exact-scores is for the forms that round: --score-format lab or wespeaker; "
                f"{self.score_format} keeps every digit"
            )


@dataclass(frozen=True)
class AnalysisPlan:
    """The analysis that was asked for, with its files read and checked."""

    prior: float
    calibration: PairList | None
    cuts: tuple[subgroups.Subgrouping, ...]
    worst: int
    against: "ScoreFile | None"


def plan_analysis(
    request: AnalysisRequest, corpus: Path, store: "Store", listed: PairList
) -> AnalysisPlan:
    """Read and check everything that an analysis needs.

    Raises:
        UsageError: for calibration pairs that share speakers with the list or are test pairs,
            an unknown column, a file that is not there.
        ListError: for a wrong line of any of the files.
    """
    calibration = None
    if request.calibrate_on is not None:
        calibration = pair_list.read_list(request.calibrate_on, corpus, store, "--calibrate-on")
        _require_separate(calibration, listed, store)
    against = None
    if request.against is not None:
        against = _read_scores(request.against)
        against.scores_of(listed.pairs)
    return AnalysisPlan(
        PRIOR if request.prior is None else request.prior,
        calibration,
        tuple(subgroups.plan_subgroups(request.by, corpus, store, listed)),
        request.worst,
        against,
    )


def _require_separate(calibration: PairList, listed: PairList, store: "Store") -> None:
    """Require that calibration pairs are no test pairs, and share no speaker with the list."""
    # A calibration on test pairs would make their own error look smaller.
    if set(calibration.utterances) & set(store.of_split("test")):
        raise UsageError(
            f"--calibrate-on {calibration.name}: has utterances of the test pairs, which judge and "
            "never teach; calibrate on dev pairs"
        )
    speakers = {store.speaker(utterance) for utterance in calibration.utterances}
    shared = sorted(speakers & {store.speaker(utterance) for utterance in listed.utterances})
    if shared:
        some = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
        raise UsageError(
            f"--calibrate-on {calibration.name}: shares {len(shared)} speakers with "
            f"{listed.name} ({some}); calibrate on pairs of others"
        )


def _read_scores(path: Path) -> "ScoreFile":
    from spkmodel.verification import score_files

    if not path.is_file():
        raise UsageError(f"--against: no file of scores {path}")
    return score_files.read(path, score_files.detect_form(path))


# --- figures ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class AnalysisResult:
    """The results of an analysis."""

    numbers: dict[str, Any]
    """Its part of the report: null or empty where nothing was asked for."""
    llrs: np.ndarray | None
    """The calibrated scores of the list (log-likelihood ratios); None without a calibration."""


def analyse(
    plan: AnalysisPlan,
    verifier: Verifier,
    store: "Store",
    listed: PairList,
    evaluation: PairEvaluation,
    condition: "Condition",
    recordings: Recordings,
    display: Display,
) -> AnalysisResult:
    """Compute everything that was planned."""
    scored = collect_scores(listed, evaluation, store)
    calibrated = llrs = None
    if plan.calibration is not None:
        calibrated, llrs = _calibrate(
            plan.calibration,
            plan.prior,
            verifier,
            store,
            evaluation,
            condition,
            recordings,
            display,
        )
    numbers = {
        "calibration": calibrated,
        "by": subgroups.measure_subgroups(plan.cuts, scored),
        "worst_speakers": subgroups.find_worst_speakers(scored, plan.worst) if plan.worst else None,
        "against": None if plan.against is None else _compare(plan.against, listed, scored),
    }
    return AnalysisResult(numbers, llrs)


def collect_scores(listed: PairList, evaluation: PairEvaluation, store: "Store") -> "ScoredPairs":
    """Return the scores of a list with the speakers of both sides of each pair."""
    from spkmodel.verification.subsets import ScoredPairs

    return ScoredPairs(
        evaluation.scores,
        evaluation.targets,
        np.array([store.speaker(pair.enrolment) for pair in listed.pairs]),
        np.array([store.speaker(pair.test) for pair in listed.pairs]),
        evaluation.numbers["threshold"],
    )


def _calibrate(
    pairs: PairList,
    prior: float,
    verifier: Verifier,
    store: "Store",
    evaluation: PairEvaluation,
    condition: "Condition",
    recordings: Recordings,
    display: Display,
) -> tuple[dict[str, Any], np.ndarray]:
    from spkmodel.verification import calibration

    conditioned = apply_condition(store, pairs, condition, recordings, display)
    verdict = verifier.score_pairs(
        conditioned, pairs, f"embedding for calibration, {condition}", display
    )
    found = calibration.fit(verdict.scores, verdict.targets, prior)
    there, here = found.llrs(verdict.scores), found.llrs(evaluation.scores)
    document = {
        "list": pairs.facts(store),
        "prior": found.prior,
        "scale": found.scale,
        "offset": found.offset,
        "cllr_of_its_list": calibration.cllr(there, verdict.targets),
        "min_cllr_of_its_list": calibration.min_cllr(there, verdict.targets),
        "cllr": calibration.cllr(here, evaluation.targets),
        "min_cllr": calibration.min_cllr(here, evaluation.targets),
        "act_dcf_p01": calibration.act_dcf(here, evaluation.targets, p_target=0.01),
        "act_dcf_p05": calibration.act_dcf(here, evaluation.targets, p_target=0.05),
        "threshold_p01": calibration.bayes_threshold(0.01),
        "threshold_p05": calibration.bayes_threshold(0.05),
    }
    return document, here


def _compare(other: "ScoreFile", listed: PairList, scored: "ScoredPairs") -> dict[str, Any]:
    from spkmodel.verification import intervals, metrics

    scores = other.scores_of(listed.pairs)
    difference = intervals.difference_interval(
        scored.scores, scores, scored.targets, scored.enrol_speakers, scored.test_speakers
    )
    eer = metrics.eer(scores, scored.targets)
    return {
        "file": str(other.path),
        "eer": eer,
        "difference": metrics.eer(scored.scores, scored.targets) - eer,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "speakers": difference.speakers,
        "why_no_interval": difference.why_not,
    }


def format_analysis(numbers: dict[str, Any]) -> list[str]:
    """Return the results as lines of text, without what was not asked for."""
    return [
        *_format_calibration(numbers, numbers["calibration"]),
        *_format_comparison(numbers["against"]),
        *subgroups.format_subgroups(numbers["by"], numbers["worst_speakers"]),
    ]


def _format_calibration(numbers: dict[str, Any], found: dict[str, Any] | None) -> Sequence[str]:
    if found is None:
        return []
    return [
        f"calibrated on {found['list']['name']} ({found['list']['pairs']:,} pairs, prior "
        f"{found['prior']:g}): llr = {found['scale']:.4g} * score {found['offset']:+.4g}",
        f"  Cllr {found['cllr']:.3f} (min {found['min_cllr']:.3f})  actDCF .01 "
        f"{found['act_dcf_p01']:.3f} (min {numbers['min_dcf_p01']:.3f})  .05 "
        f"{found['act_dcf_p05']:.3f} (min {numbers['min_dcf_p05']:.3f})",
    ]


def _format_comparison(found: dict[str, Any] | None) -> Sequence[str]:
    if found is None:
        return []
    low, high = found["difference_low"], found["difference_high"]
    interval = f"no interval: {found['why_no_interval']}"
    if low is not None:
        interval = f"95 %: {100 * low:+.2f} to {100 * high:+.2f}, {found['speakers']} speakers"
    return [
        f"against {found['file']}: EER {format_percent(found['eer'])} there; difference "
        f"{100 * found['difference']:+.2f} points ({interval}), lower is better here"
    ]
