"""Simulate searches of equal configurations, and send their winners to the gate."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from bench.intervals.lists import SYSTEM_NOISE, SimulatedList, simulate
from search.promotion.gate import LEAST_SPEAKERS, compare_scores
from spkmodel.verification import metrics

RESULTS = Path(__file__).parents[1] / "results" / "luck.json"
SPEAKERS = (5, 8, 10, 20, 40, 80)
CONFIGURATIONS = 8
EER = 0.1
"""Of every configuration, before its own noise."""
GAIN = 0.5
"""By how many deviations of a score a better configuration separates the classes more."""


def measure(speakers: int, comparisons: int) -> dict[str, Any]:
    """Return the gate's rates on lists of so many speakers."""
    equal = [_compare(speakers, number, gain=0.0) for number in range(comparisons)]
    better = [_compare(speakers, number, gain=GAIN) for number in range(comparisons)]
    accepted = sum(each["verdict"] == "better" for each in equal)
    seen = sum(each["verdict"] == "better" for each in better)
    margin = true_eer(0.0) - true_eer(GAIN)
    return {
        "comparisons": comparisons,
        "undecided": sum(each["verdict"] == "cannot decide" for each in equal),
        "false_acceptances": accepted,
        "false_acceptance_upper": upper_bound(accepted, comparisons),
        "lower_test_eer": sum(each["difference"] < 0 for each in equal),
        "lower_dev_eer": sum(each["dev_difference"] < 0 for each in equal),
        "dev_flatters": float(np.mean([each["dev_flatters"] for each in equal])),
        "margin": margin,
        "power": seen / comparisons,
        "power_computed": compute_power(
            margin, float(np.std([each["difference"] for each in better], ddof=1)), speakers
        ),
    }


def _compare(speakers: int, number: int, gain: float) -> dict[str, Any]:
    """Choose among configurations on dev pairs, and send the winner to the gate."""
    rng = np.random.default_rng([speakers, number, round(100 * gain)])
    dev = simulate(rng, speakers, EER, dense=False)
    test = simulate(rng, speakers, EER, dense=False)
    scores = [_score(rng, dev, gain) for _ in range(CONFIGURATIONS)]
    eers = [metrics.eer(each, dev.targets) for each in scores]
    champion = metrics.eer(_score(rng, dev, 0.0), dev.targets)
    # Configurations differ in nothing but their own noise, so on other pairs the winner is drawn
    # like any other of them.
    compared = compare_scores(
        "clean",
        _score(rng, test, gain),
        _score(rng, test, 0.0),
        test.targets,
        [str(speaker) for speaker in test.enrol],
        [str(speaker) for speaker in test.test],
    )
    return {
        "verdict": compared.verdict,
        "difference": compared.difference,
        "dev_difference": min(eers) - champion,
        "dev_flatters": float(np.mean(eers)) - min(eers),
    }


def _score(rng: np.random.Generator, drawn: SimulatedList, gain: float) -> np.ndarray:
    noise = rng.normal(0, SYSTEM_NOISE, len(drawn.scores))
    return np.asarray(drawn.scores + noise + gain * drawn.targets)


def true_eer(gain: float) -> float:
    """Return a configuration's EER over all speakers there could be.

    Both classes are normal with variance 1 + `SYSTEM_NOISE`^2, their means 2 z + gain apart.
    """
    apart = 2 * stats.norm.ppf(1 - EER) + gain
    return float(stats.norm.cdf(-apart / 2 / math.sqrt(1 + SYSTEM_NOISE**2)))


def compute_power(margin: float, deviation: float, speakers: int) -> float:
    """Return how often a difference of this deviation shows such a margin (noncentral t)."""
    degrees = speakers - 1
    limit = stats.t.ppf(0.975, degrees)
    return float(stats.nct.sf(limit, degrees, margin / deviation))


def upper_bound(hits: int, trials: int) -> float:
    """Return the one-sided upper 95 % bound of a rate (Clopper & Pearson 1934)."""
    return 1.0 if hits == trials else float(stats.beta.ppf(0.95, hits + 1, trials - hits))


def format_cell(cell: dict[str, Any]) -> str:
    """Return one line for people."""
    if cell["undecided"] == cell["comparisons"]:
        return f"the gate decides nothing (it needs {LEAST_SPEAKERS} speakers)"
    share = cell["false_acceptances"] / cell["comparisons"]
    return (
        f"equal configurations accepted {100 * share:.1f} % (at most "
        f"{100 * cell['false_acceptance_upper']:.1f} %), by the lower test EER "
        f"{100 * cell['lower_test_eer'] / cell['comparisons']:.0f} %, by the lower dev EER "
        f"{100 * cell['lower_dev_eer'] / cell['comparisons']:.0f} %; better by "
        f"{100 * cell['margin']:.1f} points accepted {100 * cell['power']:.1f} % (computed "
        f"{100 * cell['power_computed']:.1f} %)"
    )
