"""Summarise a search that no longer runs."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.core.errors import GateNotMet, NoUsableTrial, SpksearchError
from search.ledger.state import SearchState
from search.reporting import formatting, tables
from search.reporting.snapshot import Snapshot, format_resume_command, take_snapshot
from search.reporting.trial_tables import front_table, sort_trials, trial_table
from search.scheduler.next_job import format_too_many_failed
from search.scheduler.policy import AshaPolicy

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN = 10


@dataclass(frozen=True)
class LaunchOutcome:
    """How a launch ended."""

    name: str
    state: str
    """`finished`, `stopped`, or `planned` after a dry run."""
    lines: list["RenderableType"]
    """The summary, for people."""
    problem: SpksearchError | None = None
    """What is wrong for all that, to be raised once the summary is shown."""


def summarise_outcome(name: str, state: SearchState) -> LaunchOutcome:
    """Return the outcome of a search that no longer runs.

    Raises:
        NoUsableTrial: if it ended and no trial has a usable report.
    """
    none_usable = no_usable_trial(name, state)
    if none_usable is not None:
        raise none_usable
    now = take_snapshot(state)
    return LaunchOutcome(name, now.state, summary(state, now), lost_too_many(name, state))


def no_usable_trial(name: str, state: SearchState) -> NoUsableTrial | None:
    """Return the error of a search that ended without a best trial."""
    now = take_snapshot(state)
    if now.best is not None or state.finish is None:
        return None
    failures = "; ".join(f"{trial}: {reason}" for trial, reason in now.failures[:3])
    again = format_resume_command(state.search)
    return NoUsableTrial(
        f"search {name} ended ({now.reason}) and none of its {now.started_trials} trials has a "
        "dev EER"
        + (f" ({failures})" if failures else "")
        + f"; `spksearch trials {name}` lists them"
        + (f", and what was stopped goes on with\n  {again}" if state.search_stop else "")
    )


def lost_too_many(name: str, state: SearchState) -> SpksearchError | None:
    """Return the error of a search that ended because more trials failed than allowed."""
    most = AshaPolicy.from_settings(state.search).max_failed
    if most is None or state.finish is None or state.finish.reason != format_too_many_failed(most):
        return None
    failures = Counter(t.failure for t in state.trials.values() if t.state == "failed")
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in failures.items())
    return GateNotMet(
        f"search {name} ended because more than {most} of its trials failed ({kinds}); "
        f"`spksearch trials {name}` says why, and launching it again with a larger --max-failed "
        "goes on"
    )


def summary(state: SearchState, now: Snapshot) -> list["RenderableType"]:
    """Format the result of a search: counts, the best ten trials, the next commands."""
    best = sort_trials(state, "dev_eer")[:_SHOWN]
    lines: list[RenderableType] = [
        f"{now.name} {now.state} after {formatting.format_duration(now.elapsed_seconds)}: "
        f"{tables.format_counts(now)}, {now.epochs} epochs",
        trial_table(state, best, now.state),
    ]
    if now.best is not None:
        lines.append(
            f"best: {tables.format_best(now.best)}  {formatting.format_axes(now.best.axes)}"
        )
    if len(AshaPolicy.from_settings(state.search).objectives) > 1:
        lines += ["Pareto front, dev EER against weights of the encoder:", front_table(state)]
    return [*lines, "next:", *(f"  {command}" for command in now.commands)]
