"""Run one search on W simulated workers, and keep what it measured and when."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bench.simulate.curves import EPOCHS, Axes, Curve, Family


@dataclass(frozen=True, slots=True)
class Job:
    """Train a trial on by one epoch or more; the searcher is asked after each."""

    trial: str
    axes: Axes
    epoch: int
    """Epochs trained before."""


class Searcher(Protocol):
    """What decides: a search strategy, told and asked as its tool would be."""

    @property
    def rungs(self) -> Sequence[int]:
        """Epochs at which trials are compared, rising."""
        ...

    def next_job(self) -> Job | None:
        """Return what a free worker does now; None: it waits for another worker."""
        ...

    def on_epoch(self, trial: str, epoch: int, eer: float) -> bool:
        """Take a measurement; return whether the same worker trains the trial on."""
        ...

    def on_divergence(self, trial: str, epoch: int) -> None:
        """Take the end of a training that diverged in this epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Measurement:
    """One epoch of one trial."""

    second: float
    trial: str
    epoch: int
    seen: float
    true: float


@dataclass
class Run:
    """All that a search measured until its budget was spent."""

    budget: float
    """Seconds, by the clock; every worker has them."""
    workers: int
    rungs: Sequence[int]
    measured: list[Measurement] = field(default_factory=list)


class SimulatedClock:
    """Seconds since the search began, for searchers whose budget is time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(
    searcher: Searcher, family: Family, budget: float, workers: int, clock: SimulatedClock
) -> Run:
    """Run until the budget is spent; what is under way then counts for nothing."""
    done = Run(budget, workers, searcher.rungs)
    curves: dict[str, Curve] = {}
    due: list[tuple[float, int, Job]] = []
    number = 0

    def begin(job: Job) -> None:
        nonlocal number
        number += 1
        if job.trial not in curves:
            curves[job.trial] = family.curve(job.axes)
        seconds = float(curves[job.trial].seconds[job.epoch])
        heapq.heappush(due, (clock.now + seconds, number, job))

    def fill() -> None:
        while len(due) < workers and (job := searcher.next_job()) is not None:
            begin(job)

    fill()
    while due and due[0][0] <= budget:
        clock.now, _, job = heapq.heappop(due)
        epoch, curve = job.epoch + 1, curves[job.trial]
        seen = float(curve.seen[epoch - 1])
        if np.isnan(seen):
            searcher.on_divergence(job.trial, epoch)
        else:
            true = float(curve.true[epoch - 1])
            done.measured.append(Measurement(clock.now, job.trial, epoch, seen, true))
            if searcher.on_epoch(job.trial, epoch, seen) and epoch < EPOCHS:
                begin(Job(job.trial, job.axes, epoch))
        fill()
    return done
