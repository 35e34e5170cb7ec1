"""Calibrate scores as log-likelihood ratios, and measure what trusting them costs.

A log-likelihood ratio (llr) is natural: ln p(score | target) - ln p(score | non-target). Bayes
decisions, Cllr and the actual detection cost take scores at their word; EER and minDCF do not.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression

from spkmodel.verification.metrics import rates_at
from spkmodel.verification.ranking import Numbers, check_scores


@dataclass(frozen=True)
class Calibration:
    """llr = scale * score + offset."""

    scale: float
    offset: float
    prior: float
    """Of a target, for which it was fitted."""

    def llrs(self, scores: Numbers) -> Float[np.ndarray, " pairs"]:
        """Return log-likelihood ratios, which rank pairs as scores do: the scale is positive."""
        return self.scale * np.asarray(scores, dtype=np.float64) + self.offset


def fit(scores: Numbers, targets: Numbers, prior: float = 0.5) -> Calibration:
    """Fit a logistic regression of the class on the score, with classes weighted by the prior.

    It minimises prior * mean_tar ln(1 + e^-(llr + logit prior)) + (1 - prior) * mean_non
    ln(1 + e^(llr + logit prior)) (Brummer and du Preez 2006, "Application-independent evaluation
    of speaker detection"); with a prior of 0.5 that is the Cllr of these pairs.

    Raises:
        ValueError: if the prior is not in (0, 1), or if no finite and rising calibration fits.
    """
    if not 0 < prior < 1:
        raise ValueError(f"prior must lie in (0, 1), got {prior}")
    values, is_target = check_scores(scores, targets)
    of_targets, of_others = values[is_target], values[~is_target]
    if of_targets.min() >= of_others.max():
        raise ValueError(
            "no finite calibration fits pairs whose classes do not overlap: every target pair "
            f"scores at least {of_targets.min():.4g}, every non-target pair at most "
            f"{of_others.max():.4g}; calibrate on more pairs, or on harder ones"
        )
    if of_targets.mean() <= of_others.mean():
        raise ValueError(
            "the calibration pairs' targets do not score above their non-targets (means "
            f"{of_targets.mean():.4g} and {of_others.mean():.4g}): scores cannot be log-likelihood "
            "ratios"
        )
    centre, spread = values.mean(), values.std()
    shares = np.where(is_target, prior / len(of_targets), (1 - prior) / len(of_others))
    # In units of the spread, with a mean weight of 1, the solver's tolerance means the same always.
    regression = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    regression.fit(
        ((values - centre) / spread)[:, None], is_target, sample_weight=shares * len(values)
    )
    scale = float(regression.coef_[0, 0] / spread)
    log_odds = float(regression.intercept_[0] - scale * centre)
    return Calibration(scale, log_odds - math.log(prior / (1 - prior)), prior)


def cllr(llrs: Numbers, targets: Numbers) -> float:
    """Return the cost of log-likelihood ratios in bits: 1 if uninformative, more if misleading.

    1/2 [mean_tar log2(1 + e^-llr) + mean_non log2(1 + e^llr)].
    """
    values, is_target = check_scores(llrs, targets)
    return _cllr(values[is_target], values[~is_target])


def min_cllr(scores: Numbers, targets: Numbers) -> float:
    """Return the Cllr of the best rising calibration of these scores (pool adjacent violators).

    Ties stay together; 0 when the classes are separated, 1 when scores say nothing.
    """
    values, is_target = check_scores(scores, targets)
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    shares = np.bincount(places, weights=is_target) / counts
    posteriors = isotonic_regression(shares, sample_weight=counts, y_min=0.0, y_max=1.0)[places]
    with np.errstate(divide="ignore"):  # beyond all of one class the ratio is infinite, and right
        log_odds = np.log(posteriors) - np.log1p(-posteriors)
    targets_share = is_target.mean()
    llrs = log_odds - np.log(targets_share) + np.log1p(-targets_share)
    return _cllr(llrs[is_target], llrs[~is_target])


def bayes_threshold(p_target: float, c_miss: float | int = 1, c_fa: float | int = 1) -> float:
    """Return the llr from which accepting is cheaper: ln(c_fa (1 - p) / (c_miss p))."""
    if not (0 < p_target < 1 and c_miss > 0 and c_fa > 0):
        raise ValueError(
            "a Bayes threshold takes p_target in (0, 1) and positive costs, got "
            f"p_target={p_target}, c_miss={c_miss}, c_fa={c_fa}"
        )
    return math.log(c_fa * (1 - p_target) / (c_miss * p_target))


def act_dcf(
    llrs: Numbers,
    targets: Numbers,
    p_target: float,
    c_miss: float | int = 1,
    c_fa: float | int = 1,
) -> float:
    """Return the detection cost at the Bayes threshold, over that of deciding blindly.

    At least `metrics.min_dcf`; above 1 where the scores do harm.
    """
    threshold = bayes_threshold(p_target, c_miss, c_fa)
    miss, false_alarm = rates_at(llrs, targets, threshold)
    miss_cost, false_alarm_cost = c_miss * p_target, c_fa * (1 - p_target)
    cost = miss_cost * miss + false_alarm_cost * false_alarm
    return cost / min(miss_cost, false_alarm_cost)


def _cllr(
    of_targets: Float[np.ndarray, " targets"], of_others: Float[np.ndarray, " others"]
) -> float:
    costs = np.logaddexp(0, -of_targets).mean() + np.logaddexp(0, of_others).mean()
    return float(costs / 2 / math.log(2))
