"""Say how much of a winner is luck: score the dev pairs with every trial it was compared with.

The search's winner has the lowest of several dev EERs, which flatters it. Whoever was trained to
the last rung, and has a checkpoint, is scored on the same dev pairs, so that speakers that are hard
for all cancel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.checkpoints import selection
from search.core.errors import SpksearchError
from search.core.paths import search_folder
from search.core.progress import Display
from search.evaluation import search_stores as stores
from search.ledger.queue import DEFAULT_ORIGIN
from search.ledger.state import SearchState
from search.models import loader
from search.reporting.formatting import format_percent

if TYPE_CHECKING:
    import numpy as np

    from spkmodel.data.store import Store

MOST_COMPARED = 5
"""Finalists that are scored: of the others the checkpoints are seldom kept."""


@dataclass(frozen=True)
class Contender:
    """A config that was compared, by its trials: one, or one for each seed."""

    name: str
    """The trial that the search itself has trained."""
    trials: tuple[str, ...]
    is_default: bool


def list_finalists(state: SearchState) -> list[Contender]:
    """Return the trials that reached the last rung, best first, at most `MOST_COMPARED`."""
    last = state.rungs[-1]
    found = [trial for trial in state.ranked() if trial.competes and last in trial.reports]
    return [
        Contender(trial.trial, (trial.trial,), trial.origin == DEFAULT_ORIGIN)
        for trial in found[:MOST_COMPARED]
    ]


def measure_winner(
    state: SearchState, contenders: Sequence[Contender], device: str, display: Display
) -> dict[str, Any] | None:
    """Score the dev pairs with every contender, and return who is probably the best.

    Returns:
        None if fewer than two contenders have a checkpoint, or the dev pairs have too few
        speakers.
    """
    import numpy as np

    from spkmodel.verification import selection as luck

    search = state.search
    store = stores.open_store(search, display)
    heard = stores.open_dev_store(search, store, display)
    scored = [
        (each, runs)
        for each in contenders
        if (runs := _score_trials(state, each, store, heard, device, display))
    ]
    if len(scored) < 2:
        return None
    pairs = store.dev_pairs
    sides = [[store.speaker(p.enrolment) for p in pairs], [store.speaker(p.test) for p in pairs]]
    targets = np.array([pair.target for pair in pairs])
    found = luck.measure_luck([list(runs.values()) for _, runs in scored], targets, *sides)
    if found is None:
        return None
    winner, runs = scored[found.likeliest]
    chosen = list(runs)[found.median_seed]
    return {
        "kind": "finalists"
        if all(each.name in each.trials for each in contenders)
        else "retrained",
        "epochs": state.rungs[-1],
        "compared": [
            {
                "of": each.name,
                "default": each.is_default,
                "trials": dict(zip(runs, found.eers[place], strict=True)),
                "mean_eer": found.means[place],
                "p_best": found.p_best[place],
            }
            for place, (each, runs) in enumerate(scored)
        ],
        "likeliest": winner.name,
        "chosen": chosen,
        "optimism": found.optimism,
        "seed_deviation": found.seed_deviation,
        "config_deviation": found.config_deviation,
        "speakers": found.speakers,
        "against_default": _compare_with_default(scored, winner, runs[chosen], targets, sides),
    }


def _score_trials(
    state: SearchState,
    contender: Contender,
    store: "Store",
    heard: "Store",
    device: str,
    display: Display,
) -> "dict[str, np.ndarray]":
    """Return the scores of the dev pairs by each trial that has a usable checkpoint."""
    from spkmodel.verification import embed_and_score, scoring

    found = {}
    for name in contender.trials:
        try:
            selected = selection.select_checkpoint(state, search_folder(state.search.search), name)
            model = loader.read_selected(state.search.search, selected, device)
            with display.task(f"scoring the dev pairs with {name}", "utterances") as progress:
                verdict = embed_and_score.evaluate_encoder(
                    model.encoder, heard, store.dev_pairs, device, progress
                )
        except (SpksearchError, scoring.Collapsed) as problem:
            display.print_line(f"{name} is not compared: {problem}")
            continue
        found[name] = verdict.scores
    return found


def _compare_with_default(
    scored: "Sequence[tuple[Contender, dict[str, np.ndarray]]]",
    winner: Contender,
    scores: "np.ndarray",
    targets: "np.ndarray",
    sides: Sequence[Sequence[str]],
) -> dict[str, Any] | None:
    """Return the difference to the default configuration's median seed, if it is among them."""
    from spkmodel.verification import intervals, metrics

    default = next((runs for each, runs in scored if each.is_default), None)
    if default is None or winner.is_default:
        return None
    ranked = sorted(default, key=lambda name: metrics.eer(default[name], targets))
    other = ranked[len(ranked) // 2]
    compared = intervals.compare_eers(scores, default[other], targets, *sides)
    return {
        "trial": other,
        "difference": compared.difference,
        "low": compared.interval.low,
        "high": compared.interval.high,
        "p_better": compared.first_is_lower,
    }


# --- for people ------------------------------------------------------------------------------


def format_luck(found: Mapping[str, Any], trial: str) -> list[str]:
    """Return for people how certain it is that this trial is the best, and how its EER flatters."""
    compared = found["compared"]
    mine = next((each for each in compared if trial in each["trials"]), None)
    again = found["kind"] == "retrained"
    lines = []
    if again:
        lines.append(f"trained again to {found['epochs']} epochs, dev EER by seed:")
        for each in compared:
            eers = " ".join(f"{100 * eer:.2f}" for eer in each["trials"].values())
            label = f"{each['of']}{' (default)' if each['default'] else ''}"
            lines.append(
                f"  {label}: {eers} %, mean {format_percent(each['mean_eer'])}, the best with "
                f"probability {each['p_best']:.0%}"
            )
        if found["seed_deviation"] is not None:
            between = found["config_deviation"]
            lines.append(
                f"  spread over seeds {100 * found['seed_deviation']:.2f} points"
                + ("" if between is None else f", between configs {100 * between:.2f} points")
            )
    if mine is not None:
        noun = "configs" if again else f"trials at {found['epochs']} epochs"
        lines.append(
            f"probability that it is the best of the {len(compared)} {noun} compared: "
            f"{mine['p_best']:.0%}; choosing the lowest flatters its dev EER by about "
            f"{100 * found['optimism']:.2f} points"
        )
    default = found["against_default"]
    if default is not None and mine is not None and trial == found["chosen"]:
        lines.append(_format_default(default))
    elif mine is not None and mine["default"]:
        lines.append("it is the default configuration: the search has found nothing better")
    return lines


def _format_default(default: Mapping[str, Any]) -> str:
    difference = default["difference"]
    word = "below" if difference <= 0 else "above"
    interval = "no interval, too few speakers"
    if default["low"] is not None:
        interval = f"95 %: {100 * default['low']:+.2f} to {100 * default['high']:+.2f}"
    return (
        f"dev EER {100 * abs(difference):.2f} points {word} that of the default configuration "
        f"({default['trial']}; {interval})"
    )
