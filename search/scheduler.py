"""The pure rule: which trial advances, which ends, what runs next.

Successive halving without waiting (ASHA; Li et al. 2020, arXiv:1810.05934). In its promotion form
(algorithm 2 there) a trial pauses at every rung and goes on while it is among the best 1/eta of
all that came there; in its stopping form it is judged once, on arrival. An interrupted trial comes
first, then what somebody wished for, then the highest rung's, then a new one; at the very last one
that ran out of memory, which then has the machines to itself. With a second
objective, "best" is front by front (`search.pareto`): a small network need not be better than a
large one, only than those its size.

What the rule asks about all trials at once stands in `Trials`. `Scan` answers by looking at every
trial, each time; `search.index` keeps the same answers up to date, for searches of thousands.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

from search import pareto
from search.state import SearchState
from search.trial_record import OBJECTIVE, Failure, TrialRecord
from search.wishes import Wish

RETRIES = 2
"""Attempts that may crash before the trial counts as failed with the next one."""

RETRIES_OUT_OF_MEMORY = 1
"""Of these, how many may run out of memory: once others were in the way, twice it is too large."""

LOST_NODES = 10
"""Nodes that a trial may lose; it is seldom a trial that kills its node, but it happens."""

PREEMPTIONS = 100
"""Times that a trial's node may be taken away."""

REFUSALS = 30
"""Times in a row that the storage may refuse a trial: with the waits between them half an hour."""

EXHAUSTED = "every config of the space has been tried"
"""Why a search ends whose sampler has no other idea."""

HOPELESS = 3
"""Trials that may crash for good before anything is reported; then nothing new is begun."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What decides; all of it stands in the `search` event."""

    rungs: tuple[int, ...]
    """Epochs at which trials are compared, rising; the last is the end of training."""
    eta: int = 3
    kind: Literal["promotion", "stopping"] = "promotion"
    trials: int | None = None
    """How many to try in all; None: as many as the hours allow."""
    hours: float | None = None
    """Wall time of all sessions together."""
    max_failed: int | None = None
    """Trials that may fail for good before the search ends; None: any number."""
    finalists: int = 1
    """How many trials at least go on from every rung, once no other can come to it."""
    objectives: tuple[str, ...] = (OBJECTIVE,)
    """What is to be low; the dev EER first."""

    def __post_init__(self) -> None:
        if not self.rungs or list(self.rungs) != sorted(set(self.rungs)) or self.rungs[0] < 1:
            raise ValueError(f"rungs must be rising epochs from 1 on, got {self.rungs}")
        if self.eta < 2:
            raise ValueError(f"eta must be at least 2, got {self.eta}")
        if self.finalists < 1:
            raise ValueError(f"finalists must be at least 1, got {self.finalists}")
        if self.trials is None and self.hours is None:
            raise ValueError("a search needs a budget: trials, hours or both")

    @classmethod
    def of(cls, search: Mapping[str, Any]) -> "Rule":
        """The rule that a `search` event sets down."""
        return cls(
            rungs=tuple(search["rungs"]),
            eta=search["eta"],
            kind=search["rule"],
            trials=search["trials"],
            hours=search["hours"],
            max_failed=search.get("max_failed"),
            finalists=search.get("finalists", 1),
            objectives=tuple(search.get("objectives", (OBJECTIVE,))),
        )


def rule_in_force(state: SearchState) -> Rule:
    """What was set down; where the space has run out of configs, no trial more than there was."""
    rule = Rule.of(state.search)
    return rule if state.exhausted is None else replace(rule, trials=state.exhausted)


def ladder(max_epochs: int, eta: int = 3, first: int = 1) -> tuple[int, ...]:
    """The rungs `first * eta**k` up to `max_epochs`, which is the last one.

    A rung less than a doubling below the last is left out: it would decide nothing.
    """
    if max_epochs < first:
        raise ValueError(f"max_epochs must be at least {first}, got {max_epochs}")
    rungs = []
    rung = first
    while 2 * rung <= max_epochs:
        rungs.append(rung)
        rung *= eta
    return tuple(rungs) if rungs and rungs[-1] == max_epochs else (*rungs, max_epochs)


# --- what to do ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resume:
    """Train an interrupted trial on, to the rung it was going to."""

    trial: str
    to_rung: int


@dataclass(frozen=True, slots=True)
class Advance:
    """Train a trial on, to the next rung."""

    trial: str
    to_rung: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Make a trial of a wish and train it to the first rung; no budget of trials forbids it."""

    wish: Wish
    to_rung: int


@dataclass(frozen=True, slots=True)
class NewTrial:
    """Ask the sampler for a trial and train it to the first rung."""

    to_rung: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing may start: the search is on hold, or what comes next depends on a running trial."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is running and nothing is left to run."""

    reason: str


Job = Resume | Advance | Wanted | NewTrial | Wait | Done


@dataclass(frozen=True, slots=True)
class End:
    """A trial is over, or over until the search is extended."""

    trial: str
    state: Literal["complete", "stopped", "failed", "killed"]
    reason: str
    by: Literal["rule", "budget", "user", "failure"]
    kind: Failure | Literal[""] = ""
    """Of a failed one: what it was."""

    def event(self, state: SearchState) -> dict[str, Any]:
        """The fields of the ledger's `end` event."""
        return {**asdict(self), "rung": state.trials[self.trial].rung}


class Trials(Protocol):
    """What the rule asks about all trials at once."""

    def any_live(self) -> bool:
        """Whether an attempt is under way."""
        ...

    def interrupted(self) -> TrialRecord | None:
        """The oldest trial that is short of the rung it was going to, and does not want room."""
        ...

    def wanting_room(self) -> TrialRecord | None:
        """The oldest trial that is short of it because it ran out of memory."""
        ...

    def failed(self) -> int:
        """How many trials have failed for good."""
        ...

    def to_judge(self) -> Iterable[TrialRecord]:
        """Oldest first, at least all that an end may have come about for."""
        ...

    def any_heading_to(self, rung: int) -> bool:
        """Whether a result may still come to the rung from below."""
        ...

    def results(self, rung: int) -> int:
        """How many trials have a result at the rung."""
        ...

    def place(self, trial: TrialRecord, rung: int) -> int | None:
        """Its place among the results of a rung, from 1; None without one."""
        ...

    def waiting(self, rung: int, places: int) -> list[TrialRecord]:
        """Those that rest at the rung and hold one of so many first places there, best first."""
        ...


class Scan:
    """The answers, each by looking at all trials: what they mean."""

    def __init__(self, state: SearchState, rule: Rule) -> None:
        self._state = state
        self._rule = rule

    def any_live(self) -> bool:
        return any(trial.live for trial in self._state.trials.values())

    def interrupted(self) -> TrialRecord | None:
        return self._interrupted(wants_room=False)

    def wanting_room(self) -> TrialRecord | None:
        return self._interrupted(wants_room=True)

    def _interrupted(self, wants_room: bool) -> TrialRecord | None:
        trials = (t for t in self._state.trials.values() if t.wants_room == wants_room)
        return next((trial for trial in trials if is_interrupted(trial, self._rule)), None)

    def failed(self) -> int:
        return sum(trial.state == "failed" for trial in self._state.trials.values())

    def to_judge(self) -> Iterable[TrialRecord]:
        return self._state.trials.values()

    def any_heading_to(self, rung: int) -> bool:
        return any(is_heading_to(t, rung, self._rule) for t in self._state.trials.values())

    def results(self, rung: int) -> int:
        return len(table(self._state, rung))

    def place(self, trial: TrialRecord, rung: int) -> int | None:
        names = standing(self._state, rung, self._rule)
        return names.index(trial.trial) + 1 if trial.trial in names else None

    def waiting(self, rung: int, places: int) -> list[TrialRecord]:
        ranked = [self._state.trials[name] for name in standing(self._state, rung, self._rule)]
        best = [trial for trial in ranked if holds_place(trial, rung)][:places]
        return [trial for trial in best if rests_at(trial, rung, self._rule)]


def next_job(
    state: SearchState, rule: Rule, spent_hours: float = 0.0, trials: Trials | None = None
) -> Job:
    """What a free slot should do now; on hold, nothing is started, but what is over still ends."""
    job = _next_job(state, rule, spent_hours, trials or Scan(state, rule))
    return Wait() if state.holds and not isinstance(job, Done) else job


def ends(state: SearchState, rule: Rule, trials: Trials | None = None) -> list[End]:
    """The ends that have come about since the last event and are not recorded yet."""
    trials = trials or Scan(state, rule)
    due = [trial for trial in trials.to_judge() if is_open(trial) and not trial.live]
    found = [own_end(trial, rule) or _on_arrival(state, trial, rule, trials) for trial in due]
    return [end for end in found if end is not None]


def vain(state: SearchState) -> list[tuple[str, str]]:
    """Wishes, by key, that can no longer be fulfilled, and why."""
    found = []
    for wish in state.queue.values():
        source = wish.weights_of
        trial = state.trials.get(state.begun.get(source, ""))
        if trial is not None and trial.state in ("failed", "killed"):
            found.append(
                (wish.key, f"the weights of {trial.trial} are wanted, which {trial.state}")
            )
        elif source and trial is None and source not in state.queue:
            found.append((wish.key, f"the weights of {source!r} are wanted, which is not tried"))
    return found


def last_ends(state: SearchState, rule: Rule, why: str, trials: Trials | None = None) -> list[End]:
    """The ends of all that waited to the last, once nothing can run any more."""
    trials = trials or Scan(state, rule)
    return [
        End(trial.trial, "stopped", _place(trial, rule, why, trials), "budget")
        for trial in state.trials.values()
        if is_open(trial)
    ]


def is_hopeless(state: SearchState) -> bool:
    """Whether the running driver has seen nothing but crashes, and so will see nothing else."""
    if not state.sessions or state.finish is not None:
        return False
    if any(trial.reports or trial.live for trial in state.trials.values()):
        return False
    failed = [trial for trial in state.trials.values() if trial.state == "failed" and trial.crashes]
    return sum(trial.ended_in == len(state.sessions) for trial in failed) >= HOPELESS


def is_interrupted(trial: TrialRecord, rule: Rule) -> bool:
    """Whether a trial is short of the rung it was going to and may be started again."""
    return (
        may_go_on(trial)
        and not trial.stop_asked
        and _given_up(trial) is None
        and trial.epoch < aim(trial, rule)
    )


def advancing(state: SearchState, rule: Rule, trials: Trials | None = None) -> list[Advance]:
    """All trials that may go to their next rung now: highest rung first, best first."""
    trials = trials or Scan(state, rule)
    found: list[Advance] = []
    settled = rule.trials is not None and len(state.trials) >= rule.trials
    settled = settled and not any(_is_ready(state, wish) for wish in state.queue.values())
    for rung, following in zip(rule.rungs, rule.rungs[1:], strict=False):
        settled = settled and not trials.any_heading_to(rung)
        places = _places(trials.results(rung), rule, settled)
        here = [Advance(trial.trial, following) for trial in trials.waiting(rung, places)]
        settled = settled and not here
        found = here + found
    return found


def table(state: SearchState, rung: int) -> list[tuple[float, str]]:
    """All results at a rung, best first, ties by trial; what is not finite is no result."""
    results = ((trial.at(rung), trial.trial) for trial in state.trials.values())
    return sorted(each for each in results if math.isfinite(each[0]))


def standing(state: SearchState, rung: int, rule: Rule) -> list[str]:
    """The trials with a result at a rung, best first."""
    results = table(state, rung)
    if len(rule.objectives) == 1:
        return [name for _, name in results]
    return pareto.ordered(
        {name: (value, *state.trials[name].sizes(rule.objectives[1:])) for value, name in results}
    )


# --- how -------------------------------------------------------------------------------------


def _next_job(state: SearchState, rule: Rule, spent_hours: float, trials: Trials) -> Job:
    is_live = trials.any_live()
    over = _why_over(state, rule, spent_hours, trials)
    if over:
        return Wait() if is_live else Done(over)
    interrupted = trials.interrupted()
    if interrupted is not None:
        return Resume(interrupted.trial, aim(interrupted, rule))
    wish = next((wish for wish in state.queue.values() if _is_ready(state, wish)), None)
    if wish is not None:
        return Wanted(wish, rule.rungs[0])
    candidates = advancing(state, rule, trials)
    if candidates:
        return candidates[0]
    if rule.trials is None or len(state.trials) + len(state.queue) < rule.trials:
        return NewTrial(rule.rungs[0])
    if is_live:
        return Wait()
    # What ran out of memory beside others is tried once more when it has the machines to itself.
    last = trials.wanting_room()
    return Done(_all_tried(state)) if last is None else Resume(last.trial, aim(last, rule))


def _all_tried(state: SearchState) -> str:
    return "all trials tried" if state.exhausted is None else EXHAUSTED


def _is_ready(state: SearchState, wish: Wish) -> bool:
    """Whether the weights that it starts from, if any, are there."""
    trial = state.trials.get(state.begun.get(wish.weights_of, ""))
    return not wish.weights_of or (trial is not None and trial.state == "complete")


def _why_over(state: SearchState, rule: Rule, spent_hours: float, trials: Trials) -> str:
    """Why nothing more is to be started although something is left; empty if there is no reason."""
    if state.search_stop:
        return "asked to stop"
    if rule.hours is not None and spent_hours >= rule.hours:
        return f"{rule.hours:g} hours used"
    if rule.max_failed is not None and trials.failed() > rule.max_failed:
        return too_many_failed(rule.max_failed)
    return f"the first {HOPELESS} trials all crashed" if is_hopeless(state) else ""


def too_many_failed(most: int) -> str:
    """Why a search ends that has lost more trials than it may."""
    return f"more than {most} trials failed"


def _places(results: int, rule: Rule, settled: bool) -> int:
    """How many of so many results at a rung go on."""
    # Once no other trial can come to this rung, the share is rounded up: otherwise a search with
    # few trials would leave its last rungs empty.
    rounds_up = settled or rule.kind == "stopping"
    places = math.ceil(results / rule.eta) if rounds_up else results // rule.eta
    return max(places, rule.finalists) if settled else places


# --- one trial -------------------------------------------------------------------------------


def is_open(trial: TrialRecord) -> bool:
    """Whether it has no end yet."""
    return trial.state in ("running", "paused")


def may_go_on(trial: TrialRecord) -> bool:
    """Whether it is at rest, now or until the search is extended."""
    return (
        trial.state == "paused"
        or trial.state == "complete"
        or (trial.state == "stopped" and trial.ended_by == "budget")
    )


def aim(trial: TrialRecord, rule: Rule) -> int:
    """Where its last segment was going; if the ladder has changed, the rung just below that."""
    return max((rung for rung in rule.rungs if rung <= trial.target), default=rule.rungs[0])


def rests_at(trial: TrialRecord, rung: int, rule: Rule) -> bool:
    """Whether the trial waits with this rung as its highest, and nobody wants it stopped."""
    return (
        may_go_on(trial)
        and not trial.stop_asked
        and trial.epoch >= aim(trial, rule)
        and max((r for r in rule.rungs if r <= trial.epoch), default=0) == rung
    )


def holds_place(trial: TrialRecord, rung: int) -> bool:
    """Whether its result counts for the places of a rung.

    A trial killed or failed after this rung had its turn; one that ended here frees its place.
    """
    return trial.state not in ("killed", "failed") or trial.epoch > rung


def is_heading_to(trial: TrialRecord, rung: int, rule: Rule) -> bool:
    """Whether a result of this trial may still come to the rung from below."""
    under_way = trial.live or is_interrupted(trial, rule)
    return under_way and trial.epoch < rung and aim(trial, rule) <= rung


def own_end(trial: TrialRecord, rule: Rule) -> End | None:
    """The end of a trial that no other has a say in."""
    if not is_open(trial) or trial.live:
        return None
    if trial.stop_asked:
        return End(trial.trial, "killed", "stopped by hand", "user")
    given_up = _given_up(trial)
    if given_up is not None:
        why, kind = given_up
        return End(trial.trial, "failed", f"{why}: {trial.reason}", "failure", kind)
    if trial.epoch >= rule.rungs[-1]:
        return End(trial.trial, "complete", f"trained {trial.epoch} epochs", "rule")
    return None


def _given_up(trial: TrialRecord) -> tuple[str, Failure] | None:
    """Why a trial is not started again, and what that makes of it; None if it may be."""
    cuts = Counter(trial.cuts)
    if cuts["out_of_memory"] > RETRIES_OUT_OF_MEMORY:
        return f"out of memory {cuts['out_of_memory']} times", "out_of_memory"
    if trial.crashes > RETRIES and cuts["hang"] > trial.crashes / 2:
        return f"hung {cuts['hang']} times", "hang"
    if trial.crashes > RETRIES:
        return f"crashed {trial.crashes} times", "crash"
    if cuts["lost_node"] > LOST_NODES:
        return f"lost {cuts['lost_node']} nodes", "lost_node"
    if cuts["preempted"] > PREEMPTIONS:
        return f"preempted {cuts['preempted']} times", "lost_node"
    if trial.refusals > REFUSALS:
        return f"refused by the storage {trial.refusals} times in a row", "storage"
    return None


def is_judged_on_arrival(trial: TrialRecord, rule: Rule) -> bool:
    """Whether it ends where it is, unless it may go on at once."""
    is_there = trial.attempt > 0 and not is_interrupted(trial, rule)
    return rule.kind == "stopping" and is_open(trial) and not trial.live and is_there


def _on_arrival(state: SearchState, trial: TrialRecord, rule: Rule, trials: Trials) -> End | None:
    if not is_judged_on_arrival(trial, rule):
        return None
    if any(job.trial == trial.trial for job in advancing(state, rule, trials)):
        return None
    reason = _place(trial, rule, f"not among the best 1/{rule.eta}", trials)
    return End(trial.trial, "stopped", reason, "rule")


def _place(trial: TrialRecord, rule: Rule, why: str, trials: Trials) -> str:
    rung = max((r for r in rule.rungs if r <= trial.epoch), default=0)
    if not rung:
        return f"{why} before rung {rule.rungs[0]}"
    place = trials.place(trial, rung)
    if place is None:
        return f"{why}; no usable result at rung {rung}"
    return f"{why}; {place} of {trials.results(rung)} at rung {rung}"
