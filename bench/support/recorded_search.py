"""Write the ledger of a search whose clock and trainings are made up: for reports and their tests.

Space, sampler and ASHA's rule are real; a training is a formula with noise, and the slots are a
queue. So the ledger says what one of a real search says: attempts, crashes, rungs, ends.
"""

import heapq
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.support.formula_search import search_event
from search.ledger.event import Event
from search.ledger.events import (
    FORMAT,
    DriverEvent,
    EndEvent,
    FinishEvent,
    ReportEvent,
    SegmentEvent,
    TrialEvent,
)
from search.ledger.kinds import Strategy
from search.ledger.state import SearchState
from search.ledger.trial import crash_event
from search.sampler import sampler
from search.scheduler.asha import Advance, find_final_outcomes, find_outcomes
from search.scheduler.next_job import Done, NewTrial, Resume, choose_next_job
from search.scheduler.policy import AshaPolicy, ladder
from search.space import loader
from spkmodel.config import TrainConfig

SPEAKERS = 40
"""Of the dev pairs, as the reports say."""

_EPOCH_SECONDS = 40.0
_BEGAN = datetime(2026, 11, 30, 21, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Recipe:
    """What a recorded search is like."""

    trials: int = 200
    epochs: int = 27
    slots: int = 4
    seed: int = 1
    space: str = "quickstart"
    name: str = "recorded"
    diverges: float = 0.04
    """Share of trials whose loss is not finite after some epochs."""
    crashes: float = 0.006
    """Share of epochs in which a worker dies."""
    suggests: Strategy = "random"
    objectives: tuple[str, ...] = ("dev_eer",)
    default_trial: bool = True
    """Whether the first trial is the space's default config, of origin `default`."""
    stop_after: float = math.inf
    """Seconds of the made-up clock after which no event is written: a search that still runs."""


def record_search(recipe: Recipe, home: Path) -> Path:
    """Write the ledger below a home folder, and return its path."""
    path = home / recipe.name / "ledger.jsonl"
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8") as ledger:
        for event in play_search(recipe):
            ledger.write(event.to_line() + "\n")
    return path


def play_search(recipe: Recipe) -> list[Event]:
    """Return the events of a search from its first to its last."""
    played = _Played(recipe)
    played.run()
    return played.events


class _Played:
    """One search: its state, its made-up clock, and the epochs under way."""

    def __init__(self, recipe: Recipe) -> None:
        self.events: list[Event] = []
        self._recipe = recipe
        self._space = loader.load(recipe.space)
        self._policy = AshaPolicy(
            ladder(recipe.epochs), trials=recipe.trials, objectives=recipe.objectives
        )
        self._state = SearchState()
        self._chance = np.random.default_rng([recipe.seed, 5])
        self._now = 0.0
        self._due: list[tuple[float, int, str]] = []
        self._quality: dict[str, float] = {}
        self._doomed: dict[str, int] = {}
        self._write(
            search_event(self._policy, recipe.seed, recipe.slots).model_copy(
                update={
                    "space": recipe.space,
                    "space_sha256": self._space.sha256,
                    "corpus": "/corpora/voices",
                    "corpus_sha256": "c0ffee" * 10 + "c0de",
                    "versions": {"torch": "2.11.0", "ray": "2.60.0", "optuna": "5.0.0"},
                }
            )
        )
        self._write(DriverEvent(format=FORMAT, host="here", pid=1, started="0-1"), uptime=0.0)

    def run(self) -> None:
        """Run until nothing is left to do, or until the recipe's time is up."""
        self._fill()
        while self._due:
            until, _, name = heapq.heappop(self._due)
            if until > self._recipe.stop_after:
                return
            self._now = until
            self._end_epoch(name)
            self._record_ends(find_outcomes(self._state, self._policy))
            self._fill()
        why = "all trials tried"
        self._record_ends(find_final_outcomes(self._state, self._policy, why))
        self._write(FinishEvent(reason=why, totals=self._state.totals()))

    def _write(self, event: Event, uptime: float | None = None) -> None:
        moment = (_BEGAN + timedelta(seconds=self._now)).isoformat(timespec="microseconds")
        said: dict[str, Any] = {"time": moment, "search": self._recipe.name}
        said["uptime"] = self._now if uptime is None else uptime
        written = event.model_copy(update=said)
        self.events.append(written)
        self._state.apply(written)

    def _record_ends(self, outcomes: Any) -> None:
        for outcome in outcomes:
            self._write(outcome.to_event(self._state.trials[outcome.trial]))

    # --- slots -------------------------------------------------------------------------------

    def _fill(self) -> None:
        while len(self._due) < self._recipe.slots:
            match choose_next_job(self._state, self._policy):
                case NewTrial(to_rung):
                    name = self._new_trial()
                case Resume(name, to_rung) | Advance(name, to_rung):
                    pass
                case Done() | _:
                    return
            trial = self._state.trials[name]
            self._write(
                SegmentEvent(
                    trial=name,
                    attempt=trial.attempt + 1,
                    from_epoch=trial.epoch,
                    from_step=0,
                    to_rung=to_rung,
                )
            )
            self._schedule(name)

    def _schedule(self, name: str) -> None:
        weights = self._state.trials[name].encoder_parameters or 20_000
        pace = 0.6 + 0.4 * math.log10(weights / 2_000)
        seconds = _EPOCH_SECONDS * pace * float(self._chance.lognormal(0, 0.08))
        heapq.heappush(self._due, (self._now + seconds, len(self.events), name))

    def _new_trial(self) -> str:
        number = len(self._state.trials) + 1
        name = f"t{number:04d}"
        is_default = number == 1 and self._recipe.default_trial
        idea = (
            _default_point(self._space, self._recipe.seed)
            if is_default
            else sampler.suggest(
                self._space, self._state, self._policy, self._recipe.seed, self._recipe.suggests
            )
        )
        assert idea is not None
        self._quality[name] = _final_eer(idea.axes, idea.distributions)
        if not is_default and self._chance.random() < self._recipe.diverges:
            self._doomed[name] = int(self._chance.integers(0, 3))
        self._write(
            TrialEvent(
                trial=name,
                config=json.loads(idea.config.model_dump_json()),
                signature=idea.config.signature,
                origin="default" if is_default else idea.origin,
                encoder_parameters=_weights(idea.config),
                warm_start=None,
                axes=idea.axes,
                distributions=idea.distributions,
            )
        )
        return name

    def _end_epoch(self, name: str) -> None:
        trial = self._state.trials[name]
        if self._chance.random() < self._recipe.crashes:
            self._write(crash_event(trial, "the worker died: exit code -9", "crash"))
            return
        epoch = trial.epoch + 1
        if self._doomed.get(name, math.inf) < epoch:
            self._write(_failure(name, trial.rung))
            return
        self._write(self._report(name, epoch))
        if epoch < self._state.trials[name].target:
            self._schedule(name)

    def _report(self, name: str, epoch: int) -> ReportEvent:
        eer = self._quality[name] + (0.32 - self._quality[name]) * 0.55 * epoch**-0.9
        eer = float(np.clip(eer + self._chance.normal(0, 0.004), 0.004, 0.6))
        logit, spread = math.log(eer / (1 - eer)), 0.26
        metrics = {
            "dev_eer": eer,
            "dev_eer_low": 1 / (1 + math.exp(spread - logit)),
            "dev_eer_high": 1 / (1 + math.exp(-spread - logit)),
            "dev_speakers": float(SPEAKERS),
            "train_loss": 4.0 * eer + 2.5 / epoch,
        }
        attempt = self._state.trials[name].attempt
        return ReportEvent(
            trial=name,
            attempt=attempt,
            epoch=epoch,
            seconds=_EPOCH_SECONDS,
            checkpoint=f"trials/{name}/e{epoch:04d}-{attempt}",
            sha256=f"{epoch:064x}",
            bytes=200_000,
            metrics=metrics,
            gpu_share=0.0,
        )


def _failure(name: str, rung: int) -> Event:
    return EndEvent(
        trial=name,
        state="failed",
        reason="diverged: the training loss is not finite",
        by="failure",
        kind="diverged",
        rung=rung,
    )


def _default_point(space: Any, seed: int) -> sampler.Suggestion:
    """Return a point near the middle of every range, with the first choices."""
    return sampler.complete_point(space, dict(_middles(space)), seed)


def _middles(space: Any) -> Iterator[tuple[str, Any]]:
    for axis in loader.describe(space):
        if axis.condition:
            continue
        if axis.kind == "categorical":
            yield axis.name, axis.choices[0]
        elif axis.low is not None and axis.high is not None:
            middle = math.sqrt(axis.low * axis.high) if axis.log else (axis.low + axis.high) / 2
            yield axis.name, middle if axis.kind == "float" else round(middle)


def _final_eer(axes: dict[str, Any], distributions: dict[str, str]) -> float:
    """Return the dev EER that a config approaches: parameters matter the less the later they come.

    The best learning rate lies at the upper edge of its range, so that a report has one to name.
    """
    eer = 0.07
    for place, name in enumerate(sorted(axes)):
        weight = 0.11 / (1 + place)
        kind = json.loads(distributions[name])
        extent = kind["attributes"]
        if kind["name"] == "CategoricalDistribution":
            far = extent["choices"].index(axes[name]) / max(1, len(extent["choices"]) - 1)
            eer += weight * abs(far - 0.5)
            continue
        low, high, value = extent["low"], extent["high"], axes[name]
        if extent.get("log"):
            low, high, value = math.log(low), math.log(high), math.log(value)
        optimum, weight = (0.98, 0.25) if name == "learning_rate" else (0.4, weight)
        eer += weight * ((value - low) / (high - low) - optimum) ** 2
    return eer


def _weights(config: TrainConfig) -> int:
    """Return a number of weights that grows as the encoder's does, without building it."""
    encoder = config.model_dump(mode="json")["encoder"]
    channels, width = encoder.get("channels", 32), encoder.get("embedding_dim", 64)
    return int(120 * channels * 5 + 7 * channels**2 + 6 * channels * width)
