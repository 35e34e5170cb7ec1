"""What an evaluation tells besides the figures of its pairs, planned before anything is embedded.

Calibration on other pairs, slices by what is known of speakers and utterances, the speakers that
fare worst, and another system's scores of the same pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.core.errors import UsageError
from search.core.progress import Display
from search.evaluation import pair_list, subgroups
from search.evaluation.metrics import Judgement, sounding
from search.evaluation.pair_list import PairList
from search.evaluation.verifier import REPLICATES, Verifier
from search.reporting.formatting import format_percent

if TYPE_CHECKING:
    from spkmodel.augment.conditions import Condition
    from spkmodel.data.store import Store
    from spkmodel.verification.score_files import Form, ScoreFile
    from spkmodel.verification.subsets import Scored

PRIOR = 0.5


@dataclass(frozen=True)
class Extras:
    """What was asked for.

    Raises:
        UsageError: for a flag that means nothing without another.
    """

    calibrate_on: Path | None = None
    """A list of pairs whose scores teach what a score is worth."""
    prior: float | None = None
    """Of a target, for the calibration; None: 0.5."""
    by: str = ""
    """Columns with edges, see `breakdown.plan`."""
    worst: int = 0
    """How many speakers to name."""
    against: Path | None = None
    """A file of scores."""
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
class Plan:
    """What was asked for, found and checked."""

    prior: float
    calibration: PairList | None
    cuts: tuple[subgroups.Cut, ...]
    worst: int
    against: "ScoreFile | None"


def plan(extras: Extras, corpus: Path, store: "Store", listed: PairList) -> Plan:
    """Read and check everything that is asked for.

    Raises:
        UsageError: for calibration pairs that share speakers with the list or are test pairs,
            an unknown column, a file that is not there.
        ListError: for a wrong line of any of the files.
    """
    calibration = None
    if extras.calibrate_on is not None:
        calibration = pair_list.read(extras.calibrate_on, corpus, store, "--calibrate-on")
        _require_apart(calibration, listed, store)
    against = None
    if extras.against is not None:
        against = _scores_of(extras.against)
        against.scores_of(listed.pairs)
    return Plan(
        PRIOR if extras.prior is None else extras.prior,
        calibration,
        tuple(subgroups.plan(extras.by, corpus, store, listed)),
        extras.worst,
        against,
    )


def _require_apart(calibration: PairList, listed: PairList, store: "Store") -> None:
    """Pairs that teach are not those that judge, nor of the same voices."""
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


def _scores_of(path: Path) -> "ScoreFile":
    from spkmodel.verification import score_files

    if not path.is_file():
        raise UsageError(f"--against: no file of scores {path}")
    return score_files.read(path, score_files.form_of(path))


# --- figures ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class AnalysisResult:
    """What came of it."""

    numbers: dict[str, Any]
    """For the report: null or empty where nothing was asked for."""
    llrs: np.ndarray | None
    """The list's calibrated scores."""


def tell(
    plan: Plan,
    verifier: Verifier,
    store: "Store",
    listed: PairList,
    judged: Judgement,
    condition: "Condition",
    surroundings: tuple[Path | None, Path | None],
    display: Display,
) -> AnalysisResult:
    """Everything that was planned."""
    scored = _scored(listed, judged, store)
    calibrated = llrs = None
    if plan.calibration is not None:
        calibrated, llrs = _calibrated(
            plan.calibration, plan.prior, verifier, store, judged, condition, surroundings, display
        )
    numbers = {
        "calibration": calibrated,
        "by": subgroups.measured(plan.cuts, scored, REPLICATES),
        "worst_speakers": subgroups.worst(scored, plan.worst) if plan.worst else None,
        "against": None if plan.against is None else _compared(plan.against, listed, scored),
    }
    return AnalysisResult(numbers, llrs)


def _scored(listed: PairList, judged: Judgement, store: "Store") -> "Scored":
    from spkmodel.verification.subsets import Scored

    return Scored(
        judged.scores,
        judged.targets,
        np.array([store.speaker(pair.enrolment) for pair in listed.pairs]),
        np.array([store.speaker(pair.test) for pair in listed.pairs]),
        judged.numbers["threshold"],
    )


def _calibrated(
    taught_on: PairList,
    prior: float,
    verifier: Verifier,
    store: "Store",
    judged: Judgement,
    condition: "Condition",
    surroundings: tuple[Path | None, Path | None],
    display: Display,
) -> tuple[dict[str, Any], np.ndarray]:
    from spkmodel.verification import calibration

    heard = sounding(store, taught_on, condition, *surroundings, display)
    verdict = verifier.judge(heard, taught_on, f"embedding for calibration, {condition}", display)
    found = calibration.fit(verdict.scores, verdict.targets, prior)
    there, here = found.llrs(verdict.scores), found.llrs(judged.scores)
    document = {
        "list": taught_on.facts(store),
        "prior": found.prior,
        "scale": found.scale,
        "offset": found.offset,
        "cllr_of_its_list": calibration.cllr(there, verdict.targets),
        "min_cllr_of_its_list": calibration.min_cllr(there, verdict.targets),
        "cllr": calibration.cllr(here, judged.targets),
        "min_cllr": calibration.min_cllr(here, judged.targets),
        "act_dcf_p01": calibration.act_dcf(here, judged.targets, p_target=0.01),
        "act_dcf_p05": calibration.act_dcf(here, judged.targets, p_target=0.05),
        "threshold_p01": calibration.bayes_threshold(0.01),
        "threshold_p05": calibration.bayes_threshold(0.05),
    }
    return document, here


def _compared(other: "ScoreFile", listed: PairList, scored: "Scored") -> dict[str, Any]:
    from spkmodel.verification import metrics

    scores = other.scores_of(listed.pairs)
    difference = metrics.paired_bootstrap(
        scored.scores,
        scores,
        scored.targets,
        scored.enrol_speakers,
        scored.test_speakers,
        replicates=REPLICATES,
    )
    eer = metrics.eer(scores, scored.targets)
    return {
        "file": str(other.path),
        "eer": eer,
        "difference": metrics.eer(scored.scores, scored.targets) - eer,
        "difference_low": difference.low,
        "difference_high": difference.high,
    }


def lines(numbers: dict[str, Any]) -> list[str]:
    """All of it for people; nothing of what was not asked for."""
    return [
        *_calibration_lines(numbers, numbers["calibration"]),
        *_against_lines(numbers["against"]),
        *subgroups.lines(numbers["by"], numbers["worst_speakers"]),
    ]


def _calibration_lines(numbers: dict[str, Any], found: dict[str, Any] | None) -> Sequence[str]:
    if found is None:
        return []
    return [
        f"calibrated on {found['list']['name']} ({found['list']['pairs']:,} pairs, prior "
        f"{found['prior']:g}): llr = {found['scale']:.4g} * score {found['offset']:+.4g}",
        f"  Cllr {found['cllr']:.3f} (min {found['min_cllr']:.3f})  actDCF .01 "
        f"{found['act_dcf_p01']:.3f} (min {numbers['min_dcf_p01']:.3f})  .05 "
        f"{found['act_dcf_p05']:.3f} (min {numbers['min_dcf_p05']:.3f})",
    ]


def _against_lines(found: dict[str, Any] | None) -> Sequence[str]:
    if found is None:
        return []
    low, high = 100 * found["difference_low"], 100 * found["difference_high"]
    return [
        f"against {found['file']}: EER {format_percent(found['eer'])} there; difference "
        f"{100 * found['difference']:+.2f} points (95 %: {low:+.2f} to {high:+.2f}), lower is "
        "better here"
    ]
