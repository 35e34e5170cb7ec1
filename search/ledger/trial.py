"""One trial as the ledger knows it: its epochs, its attempts, how it ended.

What the events make of it is in `search.ledger.state`, what it may do next in
`search.scheduler.asha`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from search.ledger.partials import Partial

TrialState = Literal["running", "paused", "complete", "stopped", "failed", "killed"]

InterruptReason = Literal[
    "crash", "out_of_memory", "hang", "lost_node", "preempted", "driver", "stopped", "storage"
]
"""Why an attempt was cut short."""

COUNTED: frozenset[InterruptReason] = frozenset({"crash", "out_of_memory", "hang"})
"""Cuts that use up a retry; the others are not the trial's doing."""

DRIVER_ENDED = "its driver ended"
"""Why an attempt was cut short whose driver is no more."""

Failure = Literal["diverged", "collapsed", "out_of_memory", "crash", "hang", "lost_node", "storage"]
"""Why a trial failed for good."""

OBJECTIVE = "dev_eer"
"""The metric that chooses; lower is better."""

SIZE = "encoder_parameters"
"""What a search may want low beside it."""


@dataclass(frozen=True, slots=True)
class Report:
    """One epoch of a trial."""

    epoch: int
    time: str
    metrics: Mapping[str, float]
    seconds: float
    checkpoint: str
    """Relative to the search's folder."""
    sha256: str
    attempt: int
    bytes: int | None = None
    """Of the checkpoint; None: not said, as in ledgers older than this."""
    gpu_share: float = 0.0
    """The most of its GPU's memory that it held, as a fraction; 0 without a GPU."""

    @property
    def next_epoch(self) -> int:
        """The epoch that whoever goes on from here reports first."""
        return self.epoch + 1

    @property
    def objective(self) -> float:
        """The dev EER; infinite if there is none that can be compared."""
        value = self.metrics.get(OBJECTIVE, math.inf)
        return value if math.isfinite(value) else math.inf


@dataclass(slots=True)
class TrialRecord:
    """One trial as the ledger knows it."""

    trial: str
    config: dict[str, Any]
    axes: dict[str, Any]
    distributions: dict[str, str]
    signature: str
    origin: str
    created: str
    wish: str = ""
    """Key of the wish that it fulfils; empty: the sampler's idea."""
    log_entry: str = ""
    """The entry of a notebook that it is."""
    warm_start: Mapping[str, str] | None = None
    """Whose weights it starts from: `weights` as the config says, `checkpoint`, `sha256`."""
    encoder_parameters: int | None = None
    """Weights of the encoder, the loss's head not included; None: a ledger older than this."""
    reports: dict[int, Report] = field(default_factory=dict)
    """By epoch, counted from 1."""
    removed: frozenset[str] = frozenset()
    """Checkpoints that were removed to save space; what they measured stands."""
    damaged: frozenset[str] = frozenset()
    """Checkpoints that were missing or not what was recorded."""
    superseded: tuple[Report, ...] = ()
    """Reports after a damaged checkpoint: these epochs are trained again."""
    partial: Partial | None = None
    """How far the epoch under way had come when that was last written down; None: it was not."""
    past_partials: tuple[Partial, ...] = ()
    """Such checkpoints that nobody goes on from any more, and that are not removed yet."""
    state: TrialState = "paused"
    reason: str = ""
    """Why it ended, or why its last attempt was cut short."""
    ended_by: str = ""
    """Of an ended trial: "rule", "budget", "user", "failure"."""
    ended: str = ""
    """When it ended."""
    ended_in: int = 0
    """Number of the session in which it ended."""
    failure: Failure | Literal[""] = ""
    """Of a failed trial: what it was."""
    rung: int = 0
    """The highest rung with a result, as its epoch; 0 before the first."""
    target: int = 0
    """The epoch its last segment aims, or aimed, at."""
    attempt: int = 0
    """Number of its last start; words of an earlier one are refused."""
    crashes: int = 0
    """Attempts that died of themselves; those that a dead driver took along do not count."""
    cuts: dict[str, int] = field(default_factory=dict)
    """Attempts that were cut short, by `InterruptReason`, whether or not they count."""
    refusals: int = 0
    """Attempts, since its last epoch, that a storage in the way has cut short."""
    last_cut: InterruptReason | Literal[""] = ""
    """Why the last attempt was cut short; empty if it was not."""
    stop_asked: bool = False

    @property
    def live(self) -> bool:
        """Whether an attempt is under way."""
        return self.state == "running"

    @property
    def needs_exclusive_memory(self) -> bool:
        """Whether its last attempt ran out of memory."""
        return self.state == "paused" and self.last_cut == "out_of_memory"

    @property
    def epoch(self) -> int:
        """Epochs trained and recorded."""
        return max(self.reports, default=0)

    @property
    def last(self) -> Report | None:
        """The newest epoch."""
        return self.reports[self.epoch] if self.reports else None

    def has_checkpoint(self, report: Report | Partial) -> bool:
        """Whether its checkpoint is still to be there, and sound as far as is known."""
        return report.checkpoint not in self.removed and report.checkpoint not in self.damaged

    def recorded(self) -> Iterator[Report | Partial]:
        """All whose checkpoints may be there, sound or not, needed or not."""
        yield from self.reports.values()
        yield from self.superseded
        yield from self.past_partials
        if self.partial is not None:
            yield self.partial

    @property
    def goes_on_from(self) -> Report | Partial | None:
        """The newest checkpoint, of an epoch or of a part of one; None: it can only begin again."""
        if self.partial is not None and self.has_checkpoint(self.partial):
            return self.partial
        epochs = sorted(self.reports, reverse=True)
        here = (self.reports[epoch] for epoch in epochs)
        return next((report for report in here if self.has_checkpoint(report)), None)

    def best(self) -> Report | None:
        """The epoch with the lowest dev EER, the earliest of equals; None without a usable one."""
        usable = [report for report in self.reports.values() if report.objective < math.inf]
        return min(usable, key=lambda report: (report.objective, report.epoch), default=None)

    def sizes(self, objectives: tuple[str, ...]) -> tuple[float, ...]:
        """Its value of every objective that is none of its training; infinite if not known."""
        assert set(objectives) <= {SIZE}, objectives
        known = self.encoder_parameters
        return tuple(math.inf if known is None else float(known) for _ in objectives)

    def at(self, epoch: int) -> float:
        """The dev EER of an epoch; infinite if it is missing or not finite."""
        report = self.reports.get(epoch)
        return math.inf if report is None else report.objective


def cut_short(trial: TrialRecord, reason: str, kind: InterruptReason) -> dict[str, Any]:
    """The fields of the `crash` event that cuts a trial's attempt short."""
    return {
        "trial": trial.trial,
        "attempt": trial.attempt,
        "reason": reason,
        "kind": kind,
        "counts": kind in COUNTED,
    }


# --- ledgers of the first versions, whose crashes and ends have no kind ----------------------


def cut_of(event: Mapping[str, Any]) -> InterruptReason:
    """Why the attempt that a `crash` event tells of was cut short."""
    if "kind" in event:
        kind: InterruptReason = event["kind"]
        return kind
    if event["counts"]:
        return "crash"
    return "driver" if event["reason"] == DRIVER_ENDED else "stopped"


def failure_of(event: Mapping[str, Any]) -> Failure:
    """What the trial was whose failing an `end` event tells of."""
    if "kind" in event:
        kind: Failure = event["kind"]
        return kind
    if event["reason"].startswith("diverged"):
        return "diverged"
    return "collapsed" if event["reason"].startswith("collapsed") else "crash"
