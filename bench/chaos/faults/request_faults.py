"""Send requests from another terminal, while the driver may be killed."""

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from bench.chaos.experiment import Experiment
from bench.chaos.faults import process_faults
from bench.chaos.faults.fault import FaultContext
from search.ledger.events import Event, HoldEvent, QueuedEvent, ReleaseEvent, SearchEvent, StopEvent
from search.ledger.state import SearchState

_TAKEN_SECONDS = 30.0
"""How long an accepted request may take to reach the ledger."""

Verb = tuple[list[str], Callable[[Event], bool]]
"""What is typed, and how the event is recognised that carries it out."""


def steer(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Send each request once, in a random order; kill the driver before one of them."""
    verbs = list(_VERBS)
    order = [verbs[int(place)] for place in rng.permutation(len(verbs))]
    killed_before = order[int(rng.integers(1, len(order)))]
    experiment.notes["blows"] = order
    for name in order:
        if name == killed_before:
            experiment.mark_injection()
            process_faults.kill_driver(experiment, context, rng)
        if not experiment.wait_for_events(experiment.count() + int(rng.integers(1, 4))):
            experiment.notes["ended_before"] = name
            return
        for words, is_done in _VERBS[name](_state(experiment), rng):
            _type(experiment, words, is_done)
            time.sleep(float(rng.uniform(0, 0.5)))


def _type(experiment: Experiment, words: list[str], is_done: Callable[[Event], bool]) -> None:
    """Send a request and wait until the ledger has it; one after the end must be refused."""
    command = [sys.executable, "-P", "-m", "search", words[0], experiment.name, *words[1:]]
    asked = subprocess.run(
        command, env=experiment.environment(), capture_output=True, text=True, check=False
    )
    if asked.returncode:
        if asked.returncode != 2 or "ended" not in asked.stderr + asked.stdout:
            experiment.problem(f"{words} ended with {asked.returncode}: {asked.stderr[-300:]}")
        return
    end = time.monotonic() + _TAKEN_SECONDS
    while not (found := [event for event in experiment.events() if is_done(event)]):
        if time.monotonic() > end:
            experiment.problem(f"{words} was accepted and is not in the ledger")
            return
        time.sleep(0.05)
    if len(found) > 1:
        experiment.problem(f"{words} was done {len(found)} times")


def _state(experiment: Experiment) -> SearchState:
    return SearchState.from_events(experiment.events())


def _pause(state: SearchState, rng: np.random.Generator) -> list[Verb]:
    del state, rng

    def is_user(kind: type[HoldEvent | ReleaseEvent]) -> Callable[[Event], bool]:
        return lambda event: isinstance(event, kind) and event.cause == "user"

    return [(["pause"], is_user(HoldEvent)), (["resume"], is_user(ReleaseEvent))]


def _budget(state: SearchState, rng: np.random.Generator) -> list[Verb]:
    trials = (state.search.trials or 0) + int(rng.integers(1, 3))

    def is_done(event: Event) -> bool:
        return isinstance(event, SearchEvent) and event.trials == trials

    return [(["budget", "--trials", str(trials)], is_done)]


def _add(state: SearchState, rng: np.random.Generator) -> list[Verb]:
    rate = round(float(10 ** rng.uniform(-3.9, -2.1)), 6)
    trial = str(rng.choice(list(state.trials)))
    words = ["add", "--trial", trial, "--set", f"optimiser.learning_rate={rate}"]

    def is_done(event: Event) -> bool:
        if not isinstance(event, QueuedEvent):
            return False
        return bool(event.config["optimiser"]["learning_rate"] == rate)

    return [(words, is_done)]


def _stop(state: SearchState, rng: np.random.Generator) -> list[Verb]:
    can_be = [trial.trial for trial in state.trials.values() if not trial.stop_asked]
    trial = str(rng.choice(can_be))
    now = ["--now"] if rng.random() < 0.5 else []
    return [
        (
            ["stop", trial, *now],
            lambda event: isinstance(event, StopEvent) and event.trial == trial,
        )
    ]


_VERBS: dict[str, Callable[[SearchState, np.random.Generator], list[Verb]]] = {
    "pause": _pause,
    "budget": _budget,
    "add": _add,
    "stop": _stop,
}
