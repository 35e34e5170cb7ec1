"""Failures by kind: trials that cannot be trained, and attempts that were cut short."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from search.ledger.trial import TrialRecord

MEANINGS = {
    "diverged": "loss or gradient not finite",
    "collapsed": "embeddings all alike",
    "out_of_memory": "out of memory",
    "crash": "the training's process died",
    "hang": "no report for too long",
    "lost_node": "its node was lost",
    "preempted": "its node was taken away",
    "storage": "the storage refused",
    "driver": "its driver ended",
    "stopped": "stopped by hand",
    "other": "other",
}


@dataclass(frozen=True)
class FailureKind:
    """Failures of one kind."""

    kind: str
    meaning: str
    trials: tuple[str, ...]
    """Failed for good."""
    interruptions: int
    """Attempts that were cut short; the trial was, or is, tried again."""
    example: str
    """The reason of the first failed trial."""


def count_failures(trials: Iterable[TrialRecord]) -> list[FailureKind]:
    """Return the kinds of failures that there were, those with failed trials first."""
    failed: dict[str, list[TrialRecord]] = defaultdict(list)
    interruptions: Counter[str] = Counter()
    for trial in trials:
        if trial.state == "failed":
            failed[trial.failure or "other"].append(trial)
        interruptions.update(trial.interruptions)
    kinds = sorted({*failed, *interruptions}, key=lambda k: (-len(failed[k]), -interruptions[k], k))
    return [
        FailureKind(
            kind,
            MEANINGS.get(kind, kind),
            tuple(trial.trial for trial in failed[kind]),
            interruptions[kind],
            failed[kind][0].reason if failed[kind] else "",
        )
        for kind in kinds
    ]
