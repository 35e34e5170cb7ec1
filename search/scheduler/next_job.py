"""Decide what a free slot does next, and how many trials could run at once.

The order: an interrupted trial, then what a user queued, then a trial that may advance
(`search.scheduler.asha`), then a new trial; at the very last a trial that ran out of memory beside
others, which then has the machines to itself.
"""

from dataclasses import dataclass

from search.ledger.queue import FULL_LENGTH_PREFIX, QueuedTrial
from search.ledger.state import SearchState
from search.scheduler.asha import Advance, can_start, find_advances
from search.scheduler.policy import AshaPolicy, is_interrupted, target_rung
from search.scheduler.rung_queries import RungQueries, StateScan

EXHAUSTED = "every config of the space has been tried"
"""Why a search ends whose sampler has no other suggestion."""

MOST_CRASHED_AT_START = 3
"""Trials that may crash for good before anything is reported; then nothing new is begun."""

MOST_WANTED = 1000
"""Trials for which an autoscaler is asked at a time; its own bounds are mostly lower."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Train an interrupted trial on, to its target rung."""

    trial: str
    to_rung: int


@dataclass(frozen=True, slots=True)
class StartQueued:
    """Create a queued trial and train it; no budget of trials forbids it.

    To the first rung, or to the last one if it is not to compete with the others.
    """

    queued: QueuedTrial
    to_rung: int


@dataclass(frozen=True, slots=True)
class NewTrial:
    """Ask the sampler for a trial and train it to the first rung."""

    to_rung: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Start nothing: the search is on hold, or what comes next depends on a running trial."""


@dataclass(frozen=True, slots=True)
class Done:
    """End the search: nothing is running and nothing is left to run."""

    reason: str


Job = Resume | Advance | StartQueued | NewTrial | Wait | Done


def choose_next_job(
    state: SearchState,
    policy: AshaPolicy,
    spent_hours: float = 0.0,
    queries: RungQueries | None = None,
) -> Job:
    """Return what a free slot should do now.

    On hold, nothing is started, but a search that is over still ends.
    """
    job = _choose_unless_on_hold(state, policy, spent_hours, queries or StateScan(state, policy))
    return Wait() if state.holds and not isinstance(job, Done) else job


def _choose_unless_on_hold(
    state: SearchState, policy: AshaPolicy, spent_hours: float, queries: RungQueries
) -> Job:
    is_live = queries.any_live()
    why_over = _why_over(state, policy, spent_hours, queries)
    if why_over:
        return Wait() if is_live else Done(why_over)
    # First what was begun: epochs that were paid for are of no use before their rung is reached.
    interrupted = queries.oldest_interrupted()
    if interrupted is not None:
        return Resume(interrupted.trial, target_rung(interrupted, policy))
    # A user who queues a trial waits for it, so it comes before anything that the search chooses.
    queued = next((each for each in state.queue.values() if can_start(state, each)), None)
    if queued is not None:
        competes = not queued.key.startswith(FULL_LENGTH_PREFIX)
        return StartQueued(queued, policy.rungs[0 if competes else -1])
    advances = find_advances(state, policy, queries)
    if advances:
        return advances[0]
    if policy.trials is None or len(state.trials) + len(state.queue) < policy.trials:
        return NewTrial(policy.rungs[0])
    if is_live:
        return Wait()
    # A trial that ran out of memory beside others gets one more attempt, alone on the machines.
    # That is last, since it keeps all other slots empty.
    last = queries.oldest_needing_exclusive_memory()
    if last is not None:
        return Resume(last.trial, target_rung(last, policy))
    return Done("all trials tried" if state.exhausted is None else EXHAUSTED)


def _why_over(
    state: SearchState, policy: AshaPolicy, spent_hours: float, queries: RungQueries
) -> str:
    """Return why nothing more is started although something is left; empty without a reason."""
    if state.search_stop:
        return "asked to stop"
    if policy.hours is not None and spent_hours >= policy.hours:
        return f"{policy.hours:g} hours used"
    if policy.max_failed is not None and queries.count_failed() > policy.max_failed:
        return format_too_many_failed(policy.max_failed)
    if has_only_crashed(state):
        return f"the first {MOST_CRASHED_AT_START} trials all crashed"
    return ""


def format_too_many_failed(most: int) -> str:
    """Return why a search ends that has lost more trials than it may."""
    return f"more than {most} trials failed"


def has_only_crashed(state: SearchState) -> bool:
    """Return whether the running driver has seen several crashed trials and no result.

    The cause is then the machine or the code, not a config, and all other trials would crash too.
    """
    if not state.sessions or state.finish is not None:
        return False
    if any(trial.reports or trial.live for trial in state.trials.values()):
        return False
    crashed = [
        trial for trial in state.trials.values() if trial.state == "failed" and trial.crashes
    ]
    # Only this session's count: a user who launches again may have mended the cause.
    here = sum(trial.ended_in == len(state.sessions) for trial in crashed)
    return here >= MOST_CRASHED_AT_START


def unfulfillable_requests(state: SearchState) -> list[tuple[str, str]]:
    """Return the queued trials, by key, that can no longer be started, each with the reason."""
    found = []
    for queued in state.queue.values():
        source = queued.weights_of
        trial = state.trials.get(state.begun.get(source, ""))
        if trial is not None and trial.state in ("failed", "killed"):
            found.append(
                (queued.key, f"the weights of {trial.trial} are wanted, which {trial.state}")
            )
        elif source and trial is None and source not in state.queue:
            found.append((queued.key, f"the weights of {source!r} are wanted, which is not tried"))
    return found


def count_wanted_trials(state: SearchState, policy: AshaPolicy) -> int:
    """Return how many trials would be under way now if there were machines for all.

    On hold or asked to stop, these are the ones that run. A hold for want of machines does not
    count: it is what the demand is to end.
    """
    live = sum(trial.live for trial in state.trials.values())
    if state.search_stop or set(state.holds) - {"cluster"}:
        return live
    interrupted = sum(
        is_interrupted(trial, policy) and not trial.live for trial in state.trials.values()
    )
    ready = interrupted + len(state.queue) + len(find_advances(state, policy))
    if policy.trials is None:
        return MOST_WANTED
    new = max(0, policy.trials - len(state.trials) - len(state.queue))
    return min(MOST_WANTED, live + ready + new)
