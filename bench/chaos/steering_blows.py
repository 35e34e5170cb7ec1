"""Blows by hand: somebody at another terminal steers, while the driver may die."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.chaos import process_blows
from bench.chaos.bout import Bout
from bench.chaos.fault import Surroundings
from search.ledger.ledger import Event
from search.ledger.state import SearchState

_TAKEN_SECONDS = 30.0
"""How long a word that was accepted may take to stand in the ledger."""

Verb = tuple[list[str], Callable[[Event], bool]]
"""What is typed, and by which event it is known to have been done."""


def steer(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """All verbs once, in an order that chance decides; before one of them the driver is killed."""
    verbs = list(_VERBS)
    order = [verbs[int(place)] for place in chance.permutation(len(verbs))]
    killed_before = order[int(chance.integers(1, len(order)))]
    bout.notes["blows"] = order
    for name in order:
        if name == killed_before:
            bout.strike()
            process_blows.kill_driver(bout, around, chance)
        if not bout.wait_for_events(bout.count() + int(chance.integers(1, 4))):
            bout.notes["ended_before"] = name
            return
        for words, is_done in _VERBS[name](_state(bout), chance):
            _type(bout, words, is_done)
            time.sleep(float(chance.uniform(0, 0.5)))


def _type(bout: Bout, words: list[str], is_done: Callable[[Event], bool]) -> None:
    """Have a verb done. What came after the search's end, or the trial's, is refused, and said."""
    command = [sys.executable, "-m", "search", words[0], bout.name, *words[1:]]
    asked = subprocess.run(
        command, env=bout.environment(), capture_output=True, text=True, check=False
    )
    if asked.returncode:
        if asked.returncode != 2 or "ended" not in asked.stderr + asked.stdout:
            bout.problem(f"{words} ended with {asked.returncode}: {asked.stderr[-300:]}")
        return
    end = time.monotonic() + _TAKEN_SECONDS
    while not (found := [event for event in bout.events() if is_done(event)]):
        if time.monotonic() > end:
            bout.problem(f"{words} was accepted and is not in the ledger")
            return
        time.sleep(0.05)
    if len(found) > 1:
        bout.problem(f"{words} was done {len(found)} times")


def _state(bout: Bout) -> SearchState:
    return SearchState.from_events(bout.events())


def _pause(state: SearchState, chance: np.random.Generator) -> list[Verb]:
    del state, chance

    def is_user(kind: str) -> Callable[[Event], bool]:
        return lambda event: event["event"] == kind and event["cause"] == "user"

    return [(["pause"], is_user("hold")), (["resume"], is_user("release"))]


def _budget(state: SearchState, chance: np.random.Generator) -> list[Verb]:
    trials = state.search["trials"] + int(chance.integers(1, 3))
    return [(["budget", "--trials", str(trials)], lambda event: event.get("trials") == trials)]


def _add(state: SearchState, chance: np.random.Generator) -> list[Verb]:
    rate = round(float(10 ** chance.uniform(-3.9, -2.1)), 6)
    trial = str(chance.choice(list(state.trials)))
    words = ["add", "--trial", trial, "--set", f"optimiser.learning_rate={rate}"]

    def is_done(event: Event) -> bool:
        if event["event"] != "queued":
            return False
        config: dict[str, Any] = event["config"]
        return bool(config["optimiser"]["learning_rate"] == rate)

    return [(words, is_done)]


def _stop(state: SearchState, chance: np.random.Generator) -> list[Verb]:
    can_be = [trial.trial for trial in state.trials.values() if not trial.stop_asked]
    trial = str(chance.choice(can_be))
    now = ["--now"] if chance.random() < 0.5 else []
    return [
        (
            ["stop", trial, *now],
            lambda event: event["event"] == "stop" and event["trial"] == trial,
        )
    ]


_VERBS: dict[str, Callable[[SearchState, np.random.Generator], list[Verb]]] = {
    "pause": _pause,
    "budget": _budget,
    "add": _add,
    "stop": _stop,
}
