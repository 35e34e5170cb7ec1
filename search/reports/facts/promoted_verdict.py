"""What the report of a promotion adds to a verdict: figures on test pairs, and paired luck."""

from collections.abc import Mapping
from typing import Any

from search.reporting.formatting import format_percent
from search.reports.facts.sentence import LUCK, NO_NETWORK, NO_SEARCH, Sentence, Tone


def judge_on_test(promoted: Mapping[str, Any] | None) -> list[Sentence]:
    """Return whether the promoted trial is better than no network, by condition."""
    if promoted is None:
        text = (
            "Not measured: dev pairs chose this trial, and no test pairs judged it. `spksearch "
            "promote` does, beside baselines without a network."
        )
        return [Sentence("plain", NO_NETWORK, text)]
    test = promoted.get("test")
    if not test:
        text = f"Not measured: the corpus has no test pairs ({promoted['trial']} was promoted)."
        return [Sentence("plain", NO_NETWORK, text)]
    return [
        _judge_condition(str(promoted["trial"]), condition, numbers)
        for condition, numbers in test["conditions"].items()
    ]


def _judge_condition(trial: str, condition: str, numbers: Mapping[str, Any]) -> Sentence:
    floors = [(floor["eer"], floor["name"]) for floor in numbers["floors"]]
    span = ""
    if numbers["eer_low"] is not None:
        low, high = 100 * numbers["eer_low"], 100 * numbers["eer_high"]
        span = f" (95 % interval {low:.2f} to {high:.2f})"
    head = f"{trial} on {condition} test pairs: {format_percent(numbers['eer'])}{span}"
    question = f"{NO_NETWORK.rstrip('?')} ({condition})?"
    if not floors:
        return Sentence("plain", question, f"{head}; no baseline was computed.")
    eer, name = min(floors)
    against = f"{head}; {name} without a network: {format_percent(eer)}."
    if numbers["eer"] >= eer:
        return Sentence("bad", question, f"No. {against}")
    is_clear = numbers["eer_high"] is not None and numbers["eer_high"] < eer
    word = "Yes" if is_clear else "Not decided"
    return Sentence("good" if is_clear else "open", question, f"{word}. {against}")


def judge_selection(promoted: Mapping[str, Any] | None) -> dict[str, Sentence]:
    """Return the sentences that a promotion's paired scores of the dev pairs allow, by question.

    They take the place of those that the ledger's intervals allow, which are less certain.
    """
    found = (promoted or {}).get("selection")
    if promoted is None or not found:
        return {}
    trial = str(promoted["trial"])
    mine = next((each for each in found["compared"] if trial in each["trials"]), None)
    if mine is None:
        return {}
    sentences = {LUCK: _luck(trial, found, mine)}
    if mine["default"]:
        text = f"No: {trial} has the default config. The search has found nothing better."
        sentences[NO_SEARCH] = Sentence("bad", NO_SEARCH, text)
    elif found["against_default"] and trial == found["chosen"]:
        sentences[NO_SEARCH] = _against_default(trial, found["against_default"])
    return sentences


def _luck(trial: str, found: Mapping[str, Any], mine: Mapping[str, Any]) -> Sentence:
    noun = "configs, trained again," if found["kind"] == "retrained" else "trials"
    probability = mine["p_best"]
    text = (
        f"Of {len(found['compared'])} {noun} scored on the same pairs, {trial} is the best with a "
        f"probability of {100 * probability:.0f} %. Choosing the lowest flatters its dev EER by "
        f"about {100 * found['optimism']:.2f} points."
    )
    return Sentence("good" if probability >= 0.95 else "open", LUCK, text)


def _against_default(trial: str, default: Mapping[str, Any]) -> Sentence:
    gain = -100 * default["difference"]
    low, high = default["low"], default["high"]
    figures = f"{trial} against the default config ({default['trial']}) on the same dev pairs"
    if low is None or high is None:
        text = f"Not decided: {figures}, {gain:.2f} points, too few speakers for an interval."
        return Sentence("open", NO_SEARCH, text)
    span = f"{gain:.2f} points, 95 % interval {-100 * high:.2f} to {-100 * low:.2f}"
    tone: Tone = "good" if high < 0 else "bad" if low > 0 else "open"
    if tone == "bad":
        span = f"{-gain:.2f} points, 95 % interval {100 * low:.2f} to {100 * high:.2f}"
    word = {"good": "Yes, by", "bad": "No, worse by", "open": "Not decided:"}[tone]
    return Sentence(tone, NO_SEARCH, f"{word} {span}: {figures}.")
