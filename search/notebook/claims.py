"""Test a claim of the log by the paired differences of a replay over seeds.

A pair is two trainings of one seed. A training that diverged or collapsed has no number, and
counts as worse than any; one that crashed counts as not run.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from search.ledger.trial import TrialRecord
from spaces.logged.claims import Claim, Measure

Verdict = Literal["reproduced", "contradicted", "undecided", "not run"]
Trials = Callable[[str, int], TrialRecord | None]
"""From (entry, seed) to its trial, if there is one."""

_BETTER_LOWER: dict[Measure, bool] = {
    "dev_eer": True,
    "train_loss": True,
    "train_accuracy": False,
    "active_triplet_fraction": True,
}


@dataclass(frozen=True)
class ClaimResult:
    """A claim, its verdict, and the differences behind it."""

    claim: Claim
    verdict: Verdict
    pairs: int
    """Seeds for which both trainings have ended."""
    differences: tuple[float, ...]
    """Entry less the other, seed by seed, where both have a number."""
    low: float | None
    high: float | None
    """95 % interval of the mean difference (Student's t over seeds); None with fewer than two."""
    failed_entry: int
    failed_against: int
    """Trainings that diverged or collapsed."""

    @property
    def mean(self) -> float | None:
        """The mean of the differences; None without one."""
        return statistics.fmean(self.differences) if self.differences else None


def evaluate_claim(claim: Claim, trials: Trials, seeds: Sequence[int]) -> ClaimResult:
    """Return the verdict on a claim from the trials of a replay."""
    pairs = []
    for seed in seeds:
        value = _final_value(trials(claim.entry, seed), claim)
        other = _final_value(trials(claim.against, seed), claim)
        if value is not None and other is not None:
            pairs.append((value, other))
    return evaluate_pairs(claim, pairs)


def evaluate_pairs(claim: Claim, pairs: Sequence[tuple[float, float]]) -> ClaimResult:
    """Return the verdict on a claim from (entry, other) values, one pair a seed.

    A training that failed has the value plus or minus infinity, whichever is worse.
    """
    finite = tuple(a - b for a, b in pairs if math.isfinite(a) and math.isfinite(b))
    failed = [sum(not math.isfinite(pair[side]) for pair in pairs) for side in (0, 1)]
    low, high = mean_interval(finite)
    return ClaimResult(
        claim, _choose_verdict(claim, pairs, low, high), len(pairs), finite, low, high, *failed
    )


def _choose_verdict(
    claim: Claim, pairs: Sequence[tuple[float, float]], low: float | None, high: float | None
) -> Verdict:
    """Return the verdict by the interval, or by failures if one side always failed, one never."""
    if not pairs:
        return "not run"
    sign = -1 if claim.expected == "lower" else 1
    failed = [tuple(not math.isfinite(value) for value in pair) for pair in pairs]
    # Failed trainings have no number to take an interval of. That one side fails with every seed
    # and the other with none is as clear as an interval, where there is more than one seed.
    if len(pairs) > 1 and set(failed) in ({(True, False)}, {(False, True)}):
        return "reproduced" if sign * (pairs[0][0] - pairs[0][1]) > 0 else "contradicted"
    if low is None or high is None or any(any(pair) for pair in failed):
        return "undecided"
    if min(sign * low, sign * high) > 0:
        return "reproduced"
    return "contradicted" if max(sign * low, sign * high) < 0 else "undecided"


def _final_value(trial: TrialRecord | None, claim: Claim) -> float | None:
    """Return the measure after the last epoch; None if the trial did not run to its end."""
    if trial is None:
        return None
    if trial.state == "failed" and trial.reason.startswith(("diverged", "collapsed")):
        return math.inf if _BETTER_LOWER[claim.measure] else -math.inf
    if trial.state != "complete" or trial.last is None:
        return None
    return trial.last.metrics.get(claim.measure)


def mean_interval(differences: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % interval of their mean by Student's t; (None, None) with fewer than two."""
    if len(differences) < 2:
        return None, None
    from scipy.special import stdtrit  # scipy.stats takes a second to load

    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    reach = float(stdtrit(len(differences) - 1, 0.975)) * error
    return mean - reach, mean + reach
