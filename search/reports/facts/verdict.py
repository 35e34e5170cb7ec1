"""The verdict on a search, in sentences: the best trial, and what it is better than, or is not.

From the ledger alone. Intervals of two trials are taken as independent here, which is cautious:
trials are scored on the same pairs, so a paired comparison (`spksearch compare`) is sharper.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from search.ledger.queue import DEFAULT_ORIGIN
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.reporting.formatting import format_percent
from search.reports.facts.best_so_far import Result
from search.reports.facts.promoted_verdict import judge_on_test, judge_selection
from search.reports.facts.sentence import LUCK, NO_SEARCH, SECOND, Sentence, Tone

_DRAWS = 4000


@dataclass(frozen=True)
class Verdict:
    """The best trial and the sentences about it; without a result only sentences."""

    best: Result | None
    trial: TrialRecord | None
    sentences: tuple[Sentence, ...]


def judge_search(state: SearchState, promoted: Mapping[str, Any] | None = None) -> Verdict:
    """Return the verdict on a search.

    Args:
        state: of the search.
        promoted: the report of its last promotion, which has the figures on test pairs.
    """
    ranked = state.ranked()
    if not ranked:
        return Verdict(None, None, (_no_result(state),))
    trial = ranked[0]
    report = trial.best()
    assert report is not None
    best = Result.from_report(trial.trial, report)
    found = [
        compare_to_default(state, trial),
        _compare_to_second(state, ranked),
        _luck(ranked, state.rungs),
    ]
    by_question = {each.question: each for each in found if each is not None}
    # Scores on the same pairs, which a promotion has, tell more than two intervals.
    by_question |= judge_selection(promoted)
    return Verdict(best, trial, (*by_question.values(), *judge_on_test(promoted)))


def _no_result(state: SearchState) -> Sentence:
    trials = len(state.trials)
    failed = sum(trial.state == "failed" for trial in state.trials.values())
    if not trials:
        text = "No trial has begun yet."
    elif failed == trials:
        text = f"All {trials} trials failed: no config of this search could be trained."
    else:
        text = f"None of {trials} trials has a dev EER yet; {failed} failed."
    return Sentence("bad" if failed else "plain", "Is there a result?", text)


# --- against another trial --------------------------------------------------------------------


def compare_to_default(state: SearchState, best: TrialRecord) -> Sentence:
    """Return whether searching was worth it: the best trial against the default config."""
    question = NO_SEARCH
    default = find_default(state)
    if default is None:
        text = "This search has no trial of the default config, so it cannot say what it gained."
        return Sentence("plain", question, text)
    if default.trial == best.trial:
        text = f"No: the default config, {default.trial}, is itself the best trial."
        return Sentence("bad", question, text)
    return _compare(best, default, question, f"the default config ({default.trial})")


def find_default(state: SearchState) -> TrialRecord | None:
    """Return the trial of the default config; None if the search has none."""
    trials = state.trials.values()
    return next((trial for trial in trials if trial.origin == DEFAULT_ORIGIN), None)


def _compare_to_second(state: SearchState, ranked: Sequence[TrialRecord]) -> Sentence | None:
    if len(ranked) < 2:
        text = "There is no other trial with a result to compare it with."
        return Sentence("plain", SECOND, text)
    name = state.search.search
    second = ranked[1]
    sentence = _compare(ranked[0], second, SECOND, f"the second best ({second.trial})")
    if sentence.tone != "open":
        return sentence
    command = f"spksearch compare {name}/{ranked[0].trial} {name}/{second.trial}"
    return Sentence(
        "open",
        sentence.question,
        f"{sentence.text} On the same pairs, speaker by speaker: `{command}`",
    )


def _compare(best: TrialRecord, other: TrialRecord, question: str, what: str) -> Sentence:
    """Compare two trials at their best epochs, or after as many epochs if one had far fewer."""
    common = [e for e in best.reports if best.at(e) <= 1 and other.at(e) <= 1]
    if not common:
        return Sentence("plain", question, f"{_capital(what)} has no result to compare with.")
    after = ""
    ours, theirs = _result(best), _result(other)
    if other.epoch < best.epoch and other.state != "complete":
        # A trial that was stopped early had no chance to reach what the best reached.
        epoch = max(common)
        ours, theirs = (Result.from_report(t.trial, t.reports[epoch]) for t in (best, other))
        after = f" after {epoch} epoch{'s' if epoch > 1 else ''}, as far as the latter was trained,"
    low, high = difference_bounds(ours, theirs)
    gap = theirs.eer - ours.eer
    figures = f"{format_percent(ours.eer)} against {format_percent(theirs.eer)} of {what}"
    if low is None or high is None:
        text = f"{_capital(figures)}:{after} too few speakers for intervals, so nothing is certain."
        return Sentence("open", question, text)
    span = f"{100 * gap:.2f} points, 95 % interval {100 * low:.2f} to {100 * high:.2f}"
    if low > 0:
        return Sentence("good", question, f"Yes, by {span}:{after} {figures}.")
    if high < 0:
        span = f"{-100 * gap:.2f} points, 95 % interval {-100 * high:.2f} to {-100 * low:.2f}"
        return Sentence("bad", question, f"No, worse by {span}:{after} {figures}.")
    return Sentence("open", question, f"Not decided:{after} {figures}; {span} includes 0.")


def difference_bounds(ours: Result, theirs: Result) -> tuple[float | None, float | None]:
    """Return the 95 % interval of theirs minus ours, as if the two were independent."""
    if ours.deviation is None or theirs.deviation is None:
        return None, None
    half = 1.96 * math.hypot(ours.deviation, theirs.deviation)
    gap = theirs.eer - ours.eer
    return gap - half, gap + half


def _result(trial: TrialRecord) -> Result:
    report = trial.best()
    assert report is not None
    return Result.from_report(trial.trial, report)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- luck -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Luck:
    """How far chance may have chosen the best of several trials."""

    trials: int
    probability: float
    """That the best trial has truly the lowest EER of them."""
    optimism: float
    """By which the lowest of several EERs is too low, on average; a fraction."""


def measure_luck(results: Sequence[Result]) -> Luck | None:
    """Return the luck of the first of several results, the lowest; None without intervals.

    Each EER is drawn anew around what was measured, with the deviation that its interval stands
    for. The draws are independent: that of the optimism is an upper bound, since hard speakers are
    hard for all trials.
    """
    deviations = [each.deviation for each in results]
    if len(results) < 2 or any(deviation is None for deviation in deviations):
        return None
    spread = np.array(deviations, dtype=float)
    measured = np.array([each.eer for each in results])
    noise = np.random.default_rng(0).normal(0.0, 1.0, (_DRAWS, len(results))) * spread
    drawn = measured + noise
    winners = drawn.argmin(axis=1)
    optimism = float(-noise[np.arange(_DRAWS), winners].mean())
    return Luck(len(results), float((winners == 0).mean()), max(0.0, optimism))


def _luck(ranked: Sequence[TrialRecord], rungs: Sequence[int]) -> Sentence | None:
    """Say how sure the choice is among the trials that got as far as the best one did."""
    rung = max((r for r in rungs if ranked[0].at(r) <= 1), default=0)
    finalists = [trial for trial in ranked if rung and trial.at(rung) <= 1]
    luck = measure_luck([_result(trial) for trial in finalists])
    if luck is None:
        return None
    text = (
        f"Of {luck.trials} trials that reached epoch {rung}, it is truly the best with a "
        f"probability of about {round(100 * luck.probability)} %. Being the lowest of so many, its "
        f"dev EER is too low by up to {100 * luck.optimism:.2f} points on average. By intervals "
        "alone: `spksearch promote` scores them on the same pairs, which tells more."
    )
    tone: Tone = "good" if luck.probability >= NormalDist().cdf(1.645) else "open"
    return Sentence(tone, LUCK, text)
