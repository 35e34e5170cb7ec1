"""Decide which checkpoints a search keeps: a pure function of its state.

Kept are the best epoch of the best trials, the last two of a trial that may go on (should one be
damaged, there is the one before) with the newest of an epoch under way, and whatever a promotion or
a warm start refers to, also one of another search. Above the bound that `--disk-gb` sets, less is
kept, step by step. What was measured stands in any case: a trial whose last checkpoint is gone is
trained again from an earlier one when it goes on.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from search.ledger.report import Partial, Report
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.scheduler import pareto
from search.scheduler.policy import AshaPolicy, is_interrupted, may_go_on

GIGABYTE = 10**9


@dataclass(frozen=True, slots=True)
class Removal:
    """Checkpoints of one trial that are to be removed."""

    trial: str
    checkpoints: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The checkpoints to remove, and the size of those that stay."""

    removals: tuple[Removal, ...]
    kept_bytes: int
    coming_bytes: int
    """What the trials under way, and one more, are about to write."""
    limit_bytes: int | None

    @property
    def excess(self) -> int:
        """Return the bytes above the bound that nothing can be removed for; 0 if it is met."""
        if self.limit_bytes is None:
            return 0
        return max(0, self.kept_bytes + self.coming_bytes - self.limit_bytes)


@dataclass(frozen=True, slots=True)
class _Step:
    """How many checkpoints are kept, at one level of pressure on the disk."""

    best: int
    resting: int
    """Of the newest checkpoints of a trial that is not running but may go on."""


def to_keep(state: SearchState) -> int:
    """Return the number of trials whose best epoch is kept."""
    return state.search.keep_checkpoints


def limit_bytes(state: SearchState) -> int | None:
    """Return the bytes that all checkpoints together may use; None without a limit."""
    gigabytes = state.search.disk_gb
    return None if gigabytes is None else round(gigabytes * GIGABYTE)


def plan(
    state: SearchState,
    *,
    tight: bool = False,
    pinned: frozenset[str] = frozenset(),
    wanted: frozenset[str] = frozenset(),
) -> Plan:
    """Decide which checkpoints a search removes now.

    Args:
        state: with its settings `keep_checkpoints` and `disk_gb`.
        tight: of trials at rest, keep only the newest whatever the bound: the disk is full.
        pinned: hashes of checkpoints that other searches start from
            (`search.checkpoints.external_references`).
        wanted: trials whose weights other searches are to start from.
    """
    pinned, wanted = pinned | _pinned(state), wanted | _wanted(state)
    best, limit = to_keep(state), limit_bytes(state)
    coming = _coming(state) if limit is not None else 0
    # The second newest of a resting trial is only there in case the newest is damaged, so it goes
    # first. The best epochs of other trials go next: without them a promotion has fewer to choose.
    steps = (_Step(best, 2), _Step(best, 1), _Step(1, 1))
    for step in steps[1 if tight else 0 :]:
        kept = _kept(state, step, pinned, wanted)
        size = sum(_bytes(r) for reports in kept.values() for r in reports.values())
        size += sum(_bytes(r) for t in state.trials.values() for r in _kept_besides(t, pinned))
        if limit is None or size + coming <= limit:
            break
    if limit is not None and size + coming > limit:
        size -= _give_up(state, kept, size + coming - limit, pinned, wanted)
    return Plan(tuple(_removals(state, kept, pinned)), size, coming, limit)


def best_kept(trial: TrialRecord) -> Report | None:
    """Return the epoch with the lowest dev EER of those that have a checkpoint."""
    here = [r for r in trial.reports.values() if r.objective < math.inf and trial.has_checkpoint(r)]
    return min(here, key=lambda report: (report.objective, report.epoch), default=None)


def best_trials(state: SearchState, count: int) -> list[TrialRecord]:
    """Return the first of the ranking; with two objectives also what no other trial dominates."""
    ranked = state.ranked()
    objectives = AshaPolicy.from_settings(state.search).objectives
    if len(objectives) == 1:
        return ranked[:count]
    aims = {
        trial.trial: (best.objective, *trial.sizes(objectives[1:]))
        for trial in ranked
        if (best := trial.best()) is not None
    }
    front = set(pareto.find_front(aims))
    return [trial for place, trial in enumerate(ranked) if place < count or trial.trial in front]


def _kept(
    state: SearchState, step: _Step, pinned: frozenset[str], wanted: frozenset[str]
) -> dict[str, dict[int, Report | Partial]]:
    """Return the reports whose checkpoints stay, by trial and epoch."""
    best = {trial.trial for trial in best_trials(state, step.best)}
    kept: dict[str, dict[int, Report | Partial]] = {}
    for name, trial in state.trials.items():
        here = {epoch: r for epoch, r in sorted(trial.reports.items()) if trial.has_checkpoint(r)}
        # Of a running trial always two: it may die while it writes the next.
        newest = 2 if trial.live else step.resting if _goes_on(trial) else 0
        stays = {*([*here][-newest:] if newest else [])}
        stays |= {epoch for epoch, report in here.items() if report.sha256 in pinned}
        if (name in best or name in wanted) and (report := best_kept(trial)) is not None:
            stays.add(report.epoch)
        kept[name] = {epoch: here[epoch] for epoch in stays}
        if trial.partial is not None and newest:
            kept[name][trial.partial.epoch] = trial.partial
    return kept


def _kept_besides(trial: TrialRecord, pinned: frozenset[str]) -> list[Report]:
    """Return checkpoints that others start from, of epochs trained again after damage."""
    return [r for r in trial.superseded if r.sha256 in pinned and trial.has_checkpoint(r)]


def _pinned(state: SearchState) -> frozenset[str]:
    """Return the hashes of checkpoints that were promoted, or that other trials start from."""
    promoted = {event.checkpoint.sha256 for event in state.promotions}
    warm = {trial.warm_start.sha256 for trial in state.trials.values() if trial.warm_start}
    return frozenset(promoted | warm)


def _wanted(state: SearchState) -> frozenset[str]:
    """Return the trials whose weights a queued trial starts from, by key or by `SEARCH/TRIAL`.

    And those that were trained with other seeds: which of them is promoted is decided by all.
    """
    search = state.search.search
    named = {state.begun.get(each.weights_of, "") for each in state.queue.values()}
    starts = [each.config.get("warm_start") for each in state.queue.values()]
    sources = [start["weights"].partition("/") for start in starts if start]
    again = {name for name, trial in state.trials.items() if not trial.competes}
    return frozenset(named | again | {trial for place, _, trial in sources if place == search})


def _goes_on(trial: TrialRecord) -> bool:
    return may_go_on(trial) and not trial.stop_asked


def _coming(state: SearchState) -> int:
    # One more than are running: the next segment may write before checkpoints are counted again.
    return state.largest_checkpoint * (1 + sum(trial.live for trial in state.trials.values()))


def _give_up(
    state: SearchState,
    kept: dict[str, dict[int, Report | Partial]],
    too_much: int,
    pinned: frozenset[str],
    wanted: frozenset[str],
) -> int:
    """Give up the checkpoints least likely to be needed, worst first; return the bytes freed."""
    policy = AshaPolicy.from_settings(state.search)
    spared = {trial.trial for trial in best_trials(state, 1)} | wanted
    freed = 0
    for trial in sorted(state.trials.values(), key=lambda trial: _worth(trial, policy)):
        if trial.live or trial.trial in spared:
            continue
        for epoch, report in sorted(kept[trial.trial].items()):
            if freed >= too_much:
                return freed
            if report.sha256 not in pinned:
                del kept[trial.trial][epoch]
                freed += _bytes(report)
    return freed


def _worth(trial: TrialRecord, policy: AshaPolicy) -> tuple[bool, int, float]:
    """Return a sort key: how much training would be lost with the trial's checkpoints."""
    best = trial.best()
    # An interrupted trial is about to go on; the others go on only if they come to be among the
    # best. Of those, epochs are what has been paid for.
    return is_interrupted(trial, policy), trial.epoch, -(best.objective if best else math.inf)


def _removals(
    state: SearchState, kept: dict[str, dict[int, Report | Partial]], pinned: frozenset[str]
) -> Iterator[Removal]:
    for name, trial in state.trials.items():
        stays = {report.checkpoint for report in kept[name].values()} | trial.removed
        stays |= {report.checkpoint for report in _kept_besides(trial, pinned)}
        gone = {report.checkpoint: _bytes(report) for report in trial.recorded()}
        gone = {place: size for place, size in gone.items() if place not in stays}
        if gone:
            yield Removal(name, tuple(gone), sum(gone.values()))


def _bytes(report: Report | Partial) -> int:
    return report.bytes or 0
