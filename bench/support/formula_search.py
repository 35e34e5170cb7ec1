"""Run a search whose training is a formula; space, state and sampler are real, without torch."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from search.ledger.events import (
    FORMAT,
    Event,
    PriorEvent,
    PriorPoint,
    ReportEvent,
    SearchEvent,
    SegmentEvent,
    TrialEvent,
)
from search.ledger.settings import DEFAULT_KEEP
from search.ledger.state import SearchState
from search.sampler import prior as priors
from search.sampler import sampler
from search.scheduler.policy import AshaPolicy
from search.space import branches
from search.space.locate import LocatedPoint, distance, locate_axes
from spkmodel.config import AAMSoftmax, AdamW, Augment, Softmax, TrainConfig

PRIORS = ("none", "right", "wrong")
EARLIER = 40
"""Trials of the search that is the prior."""

_NOISE = 0.003
_EMPTY = SearchState()


def _space(trial: Any) -> TrainConfig:
    """Ask six parameters, one of them with one of two losses only."""
    loss: Softmax | AAMSoftmax = Softmax()
    if trial.suggest_categorical("loss", ["softmax", "aam"]) == "aam":
        loss = AAMSoftmax(margin_rad=trial.suggest_float("margin_rad", 0.0, 0.5))
    return TrainConfig(
        loss=loss,
        augment=Augment(
            filter_probability=trial.suggest_float("filter_probability", 0.0, 1.0),
            noise_probability=trial.suggest_float("noise_probability", 0.0, 1.0),
        ),
        optimiser=AdamW(
            learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
            weight_decay=trial.suggest_float("weight_decay", 1e-5, 1.0, log=True),
        ),
    )


SPACE = branches.Space("toy", _space, "Toy?", Path(__file__), "0" * 64)

_RANGES = {
    "learning_rate": (-4.0, -1.0, 1.0),
    "margin_rad": (0.0, 0.5, 0.6),
    "noise_probability": (0.0, 1.0, 0.5),
    "weight_decay": (-5.0, 0.0, 0.3),
    "filter_probability": (0.0, 1.0, 0.2),
}
"""By axis: both ends (of the logarithm, where it has one), and how much it matters."""


@dataclass(frozen=True)
class Truth:
    """The formula of the EER: how far each parameter is from its optimum, in its range."""

    optimum: dict[str, float]
    loss: str
    floor: float = 0.05
    spread: float = 0.25

    def dev_eer(self, axes: dict[str, Any]) -> float:
        """Return the dev EER of a training with these parameters, before noise."""
        far = 0.0 if axes["loss"] == self.loss else 0.3
        for name, place in self.optimum.items():
            if name in axes:
                low, high, weight = _RANGES[name]
                value = math.log10(axes[name]) if low < 0 else axes[name]
                far += weight * ((value - low) / (high - low) - place) ** 2
        return self.floor + self.spread * far

    def opposite(self) -> "Truth":
        """Return a formula whose optimum is half a range away from this one's."""
        moved = {
            name: place + (0.5 if place < 0.5 else -0.5) for name, place in self.optimum.items()
        }
        return Truth(moved, "aam" if self.loss == "softmax" else "softmax", 0.1, 0.5)

    def similar(self, chance: np.random.Generator) -> "Truth":
        """Return a formula with its optimum within a tenth of the ranges, at twice the EER."""
        moved = {
            name: float(np.clip(place + chance.normal(0, 0.08), 0, 1))
            for name, place in self.optimum.items()
        }
        return Truth(moved, self.loss, 0.1, 0.5)


def truth_of(seed: int) -> Truth:
    """Return a formula with its optimum somewhere inside the ranges."""
    chance = np.random.default_rng(seed)
    places = {name: float(chance.uniform(0.15, 0.85)) for name in _RANGES}
    return Truth(places, str(chance.choice(["softmax", "aam"])))


def regrets(seed: int, prior: str, policy: AshaPolicy) -> list[float]:
    """Return after each trial how much the best so far, without noise, is above the optimum."""
    truth, chance = truth_of(seed), np.random.default_rng([seed, 1])
    match prior:
        case "right":
            known = _earlier(truth.similar(chance), seed)
        case "wrong":
            known = _earlier(truth.opposite(), seed)
        case _:
            known = []
    return _played(truth, known, seed, policy)


def _earlier(truth: Truth, seed: int) -> list[tuple[PriorPoint, LocatedPoint]]:
    """Return the points of a random search of the same space, best first."""
    drawn = []
    for number in range(EARLIER):
        idea = sampler.suggest(
            SPACE, _EMPTY, AshaPolicy((1,), trials=1), seed + 7919 * number, "random"
        )
        assert idea is not None
        point = PriorPoint(f"earlier/{number}", idea.axes, idea.distributions)
        drawn.append((truth.dev_eer(idea.axes), number, (point, locate_axes(SPACE, idea.axes))))
    return [each for _, _, each in sorted(drawn)]


def _played(
    truth: Truth, known: list[tuple[PriorPoint, LocatedPoint]], seed: int, policy: AshaPolicy
) -> list[float]:
    """Run the search, one trial at a time."""
    tale, noise = SearchInMemory(policy), np.random.default_rng([seed, 2])
    first = priors.select_diverse(
        known, priors.MOST_TRIED_FIRST, lambda one, other: distance(one[1], other[1])
    )
    if known:
        tale.tell(PriorEvent(source="earlier", points=tuple(point for point, _ in known)))
    values: list[float] = []
    assert policy.trials is not None
    for number in range(policy.trials):
        if number < len(first):
            point = first[number][0]
            idea = sampler.complete_point(SPACE, point.axes, seed)
            tale.trial(idea, queue_key=f"{priors.QUEUE_KEY_PREFIX}{point.name}")
        else:
            suggested = sampler.suggest(SPACE, tale.state, policy, seed)
            assert suggested is not None
            idea = suggested
            tale.trial(idea)
        values.append(truth.dev_eer(idea.axes))
        tale.report(values[-1] + noise.normal(0, _NOISE))
    return [best - truth.floor for best in np.minimum.accumulate(values)]


def search_event(rule: AshaPolicy, seed: int, concurrent: int | None = None) -> SearchEvent:
    """Return the event with which a search of the toy space begins."""
    return SearchEvent(
        format=FORMAT,
        space=SPACE.name,
        space_sha256="",
        corpus="",
        corpus_sha256="",
        store="",
        dev_store="",
        seed=seed,
        dev_condition="clean",
        noise="",
        rooms="",
        surroundings="",
        rule=rule.kind,
        eta=rule.eta,
        rungs=rule.rungs,
        trials=rule.trials,
        hours=rule.hours,
        max_epochs=rule.rungs[-1],
        finalists=rule.finalists,
        concurrent=concurrent,
        cpus_per_trial=1.0,
        gpus_per_trial=None,
        tracking_uri="",
        objectives=rule.objectives,
        warm_start="",
        warm_start_trials=0,
        warm_start_sha256="",
        store_sha256="",
        max_failed=rule.max_failed,
        strategy="tpe",
        keep_checkpoints=DEFAULT_KEEP,
        disk_gb=None,
    )


class SearchInMemory:
    """A search in memory: appends events and applies them, without a ledger file."""

    def __init__(self, policy: AshaPolicy) -> None:
        self.state = SearchState()
        self._clock = datetime(2026, 1, 1, tzinfo=UTC)
        self.tell(search_event(policy, seed=0))

    def tell(self, event: Event) -> None:
        """Apply one event, a second after the last."""
        self._clock += timedelta(seconds=1)
        said = {"time": self._clock.isoformat(), "search": "toy"}
        self.state.apply(event.model_copy(update=said))

    def trial(self, idea: sampler.Suggestion, queue_key: str = "", to_rung: int = 1) -> None:
        """Append a new trial and its first segment."""
        name = f"t{len(self.state.trials) + 1:04d}"
        self.tell(
            TrialEvent(
                trial=name,
                config=json.loads(idea.config.model_dump_json()),
                signature=idea.config.signature,
                origin=idea.origin,
                encoder_parameters=None,
                warm_start=None,
                axes=idea.axes,
                distributions=idea.distributions,
                wish=queue_key,
            )
        )
        self.tell(SegmentEvent(trial=name, attempt=1, from_epoch=0, from_step=0, to_rung=to_rung))

    def report(self, dev_eer: float, epoch: int = 1) -> None:
        """Append an epoch of the newest trial."""
        name = next(reversed(self.state.trials))
        self.tell(
            ReportEvent(
                trial=name,
                attempt=1,
                epoch=epoch,
                seconds=1.0,
                checkpoint="x",
                sha256="x",
                bytes=None,
                metrics={"dev_eer": float(dev_eer)},
                gpu_share=0.0,
            )
        )
