"""What must hold of a search that has ended, whatever happened on the way.

Every invariant is a function from the evidence to what is wrong, in words; nothing, if all is well.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.chaos.evidence import Evidence, recorded
from search.core.errors import SpksearchError
from search.ledger.events import (
    EndEvent,
    Event,
    PartialEvent,
    ReportEvent,
    SegmentEvent,
    TrialEvent,
)
from search.ledger.kinds import OBJECTIVE
from search.ledger.report import Partial
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.sampler import sampler
from search.sampler.history import SamplerHistory
from search.scheduler import rung_queries
from search.scheduler.audit import find_wrong_decisions, recompute_rungs
from search.scheduler.policy import AshaPolicy
from search.scheduler.rung_index import RungIndex
from spkmodel.core import checkpoint

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ENDED = ("complete", "stopped", "failed", "killed")
STATUS = {"complete": "FINISHED", "stopped": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
EER_TOLERANCE = 1e-6

Invariant = Callable[[Evidence], list[str]]


def one_end_each(evidence: Evidence) -> list[str]:
    """The search is finished, and every trial is in one end state, said once."""
    state, wrong = evidence.state, []
    if state.finish is None:
        wrong.append("the search has no finish")
    for trial in state.trials.values():
        if trial.state not in ENDED:
            wrong.append(f"{trial.trial} is {trial.state}, which is no end")
    over: set[str] = set()
    for event in evidence.events:
        if isinstance(event, SegmentEvent):
            over.discard(event.trial)
        elif isinstance(event, EndEvent):
            if event.trial in over:
                wrong.append(f"{event.trial} ended twice without a segment between")
            over.add(event.trial)
    return wrong


def one_run_each(evidence: Evidence) -> list[str]:
    """MLflow has one run of every trial, with the status of its end, and none beside."""
    if evidence.runs is None:
        return []
    counts = Counter(run.trial for run in evidence.runs)
    trials = evidence.state.trials
    wrong = [f"{name} has {counts[name]} runs in MLflow" for name in trials if counts[name] != 1]
    wrong += [f"MLflow has a run of {name}, which no ledger has" for name in counts.keys() - trials]
    for run in evidence.runs:
        state = trials[run.trial].state if run.trial in trials else ""
        if state in STATUS and run.status != STATUS[state]:
            wrong.append(f"{run.trial} is {state}, its run in MLflow is {run.status}")
    return wrong


def history_equals_ledger(evidence: Evidence) -> list[str]:
    """Of every epoch that is in the ledger MLflow has one point, of the same value; no other."""
    wrong = []
    for metric in (OBJECTIVE, "train_loss"):
        wanted = recorded(evidence.events, metric)
        for run in evidence.runs or []:
            lost, doubled, other = differences(wanted.get(run.trial, []), run.history[metric])
            if lost or doubled or other:
                wrong.append(
                    f"{run.trial} {metric}: {lost} points lost, {doubled} doubled, {other} other"
                )
    return wrong


def differences(
    wanted: list[tuple[int, float]], found: list[tuple[int, float]]
) -> tuple[int, int, int]:
    """How many points are missing, how many there more than once, how many that nobody wrote."""
    want, have = Counter(wanted), Counter(found)
    lost = sum(point not in have for point in want)
    doubled = sum(count - 1 for point, count in have.items() if point in want)
    other = sum(count for point, count in have.items() if point not in want)
    return lost, doubled, other


def decisions_are_the_rules(evidence: Evidence) -> list[str]:
    """Every segment and every end is what the rule, told what came before, decides; rungs too."""
    wrong = find_wrong_decisions(evidence.events)
    state = evidence.state
    rungs = {rung: rung_queries.rung_results(state, rung) for rung in state.rungs}
    if recompute_rungs(evidence.events) != rungs:
        wrong.append("the rungs worked out from the reports are not those of the state")
    return wrong


def attempts_go_on(evidence: Evidence) -> list[str]:
    """An attempt begins where a checkpoint is, goes on epoch by epoch, and is alone."""
    state, wrong = SearchState(), []
    following: dict[str, int] = {}
    for event in evidence.events:
        if isinstance(event, SegmentEvent):
            trial = state.trials[event.trial]
            wrong += _wrong_beginning(event, trial.attempt, trial.epoch, trial.live)
            # Where the newest checkpoints were removed, some epochs are trained again.
            start = trial.goes_on_from
            following[trial.trial] = 1 if start is None else start.next_epoch
            step = start.steps if isinstance(start, Partial) else 0
            if event.from_step != step:
                wrong.append(
                    f"{trial.trial}: went on from step {event.from_step}, it had come to {step}"
                )
        elif isinstance(event, ReportEvent):
            trial = state.trials[event.trial]
            if not trial.live or event.attempt != trial.attempt:
                wrong.append(f"{trial.trial}: a word of attempt {event.attempt}, which was over")
            elif event.epoch != following[trial.trial]:
                wrong.append(
                    f"{trial.trial}: epoch {event.epoch} reported where "
                    f"{following[trial.trial]} was due"
                )
            following[trial.trial] = event.epoch + 1
        elif isinstance(event, PartialEvent):
            wrong += _wrong_part(event, state.trials[event.trial])
        state.apply(event)
    return wrong


def _wrong_part(event: PartialEvent, trial: TrialRecord) -> list[str]:
    """A part belongs to the last attempt and to the next epoch, and goes on where one was left."""
    name, before = trial.trial, 0 if trial.partial is None else trial.partial.steps
    if event.attempt != trial.attempt:
        return [f"{name}: a part of attempt {event.attempt}, the last was {trial.attempt}"]
    if event.epoch != trial.epoch + 1:
        return [f"{name}: a part of epoch {event.epoch}, {trial.epoch + 1} was due"]
    if not before < event.steps <= event.of:
        return [f"{name}: {event.steps} of {event.of} steps came after {before}"]
    return []


def _wrong_beginning(event: SegmentEvent, attempt: int, epoch: int, live: bool) -> list[str]:
    wrong, name = [], event.trial
    if live:
        wrong.append(f"{name}: attempt {event.attempt} began beside attempt {attempt}")
    if event.attempt != attempt + 1:
        wrong.append(f"{name}: attempt {event.attempt} came after {attempt}")
    if event.from_epoch > epoch:
        wrong.append(f"{name}: went on from epoch {event.from_epoch}, the last was {epoch}")
    return wrong


def repeated_epochs_agree(evidence: Evidence) -> list[str]:
    """An epoch that was trained again has the value that it had."""
    values: dict[tuple[str, int], set[float]] = defaultdict(set)
    for event in evidence.events:
        if isinstance(event, ReportEvent):
            values[event.trial, event.epoch].add(event.metrics[OBJECTIVE])
    return [
        f"{trial} epoch {epoch} was reported as {sorted(each)}"
        for (trial, epoch), each in values.items()
        if len(each) > 1
    ]


def checkpoints_are_sound(evidence: Evidence) -> list[str]:
    """Every checkpoint that should be there is what was recorded; the best has its dev EER."""
    wrong = []
    for trial in evidence.state.trials.values():
        for report in trial.recorded():
            if trial.has_checkpoint(report):
                try:
                    checkpoint.read(evidence.folder / report.checkpoint, report.sha256)
                except checkpoint.CheckpointError as error:
                    wrong.append(f"{trial.trial} epoch {report.epoch}: {error}")
    return wrong + _best_is_reproduced(evidence)


def _best_is_reproduced(evidence: Evidence) -> list[str]:
    ranked = evidence.state.ranked()
    if evidence.checkpoint_eer is None or not ranked:
        return []
    best = ranked[0].best()
    assert best is not None
    if not ranked[0].has_checkpoint(best):
        return [f"the best epoch, {ranked[0].trial} {best.epoch}, has no checkpoint"]
    try:
        found = evidence.checkpoint_eer(evidence.folder / best.checkpoint, best.sha256)
    except checkpoint.CheckpointError as error:
        return [f"the best checkpoint does not load: {error}"]
    if abs(found - best.objective) > EER_TOLERANCE:
        return [f"{ranked[0].trial} epoch {best.epoch}: dev EER {best.objective}, again {found}"]
    return []


def told_once(evidence: Evidence) -> list[str]:
    """The sampler is told every trial once, as ended; one that followed along hears the same."""
    state, wrong = evidence.state, []
    told, followed = _told(evidence.state), _told_all_along(evidence.events)
    if [_words(each) for each in told] != [_words(each) for each in followed]:
        wrong.append("the sampler that followed knows other trials than one that began anew")
    if len(told) != len(state.trials):
        wrong.append(f"the sampler is told {len(told)} trials, there are {len(state.trials)}")
    if len({each.number for each in told}) != len(told):
        wrong.append("the sampler is told a trial twice")
    for trial, each in zip(state.trials.values(), told, strict=False):
        if trial.state in ENDED and not each.state.is_finished():
            wrong.append(f"{trial.trial} is {trial.state}, the sampler is told {each.state.name}")
    return wrong


def _told(state: SearchState) -> list["FrozenTrial"]:
    known = SamplerHistory(state, RungIndex(state)).refresh(AshaPolicy.from_settings(state.search))
    return known.frozen_trials(known.model_rung())


def _told_all_along(events: list[Event]) -> list["FrozenTrial"]:
    state, known = SearchState(), None
    for event in events:
        state.apply(event)
        if isinstance(event, ReportEvent | EndEvent):
            known = known or SamplerHistory(state)
            known.refresh(AshaPolicy.from_settings(state.search)).frozen_trials(known.model_rung())
    known = (known or SamplerHistory(state)).refresh(AshaPolicy.from_settings(state.search))
    return known.frozen_trials(known.model_rung())


def _words(told: "FrozenTrial") -> tuple[object, ...]:
    return told.number, told.state, told.values, told.params, told.intermediate_values


def suggestions_are_the_samplers(evidence: Evidence) -> list[str]:
    """Every config that the sampler thought of is what it thinks of again, told the same."""
    if evidence.space is None:
        return []
    state, wrong = SearchState(), []
    for event in evidence.events:
        if isinstance(event, TrialEvent) and event.origin == "sampler":
            policy, seed = AshaPolicy.from_settings(state.search), state.search.seed
            idea = sampler.suggest(evidence.space, state, policy, seed)
            if idea is None or idea.config.signature != event.signature:
                wrong.append(f"{event.trial} is not what the sampler suggests at that point")
        state.apply(event)
    return wrong


def nothing_is_left(evidence: Evidence) -> list[str]:
    """No process and no temporary file outlives the search."""
    wrong = [f"still runs: {process}" for process in evidence.processes]
    left = [*evidence.folder.glob(".*"), *evidence.folder.glob("driver.json*")]
    left += evidence.folder.glob("turn-*")
    left += [*evidence.folder.glob("trials/*/.*"), *evidence.folder.rglob("*.tmp")]
    left += evidence.folder.glob("trials/*/leave-*")
    known = {each.checkpoint for t in evidence.state.trials.values() for each in t.recorded()}
    parts = evidence.folder.glob("trials/*/*-step*")
    left += [path for path in parts if str(path.relative_to(evidence.folder)) not in known]
    return wrong + [f"left behind: {path.relative_to(evidence.folder)}" for path in sorted(left)]


def budget_is_kept(evidence: Evidence) -> list[str]:
    """Not more trials, epochs or hours than were allowed when they began."""
    state = SearchState()
    wrong: list[str] = []
    for event in evidence.events:
        if isinstance(event, TrialEvent | SegmentEvent):
            wrong += _beyond_budget(state, event)
        state.apply(event)
    top = max(state.rungs, default=0)
    wrong += [f"{t.trial} trained {t.epoch} epochs" for t in state.trials.values() if t.epoch > top]
    return wrong


def _beyond_budget(state: SearchState, event: TrialEvent | SegmentEvent) -> Iterable[str]:
    policy = AshaPolicy.from_settings(state.search)
    hours = state.spent_hours(uptime=event.uptime)
    if policy.hours is not None and hours >= policy.hours:
        yield f"{event.event} of {event.trial} after {hours:.3f} of {policy.hours:g} hours"
    asked = isinstance(event, TrialEvent) and not event.wish
    if asked and policy.trials is not None and len(state.trials) >= policy.trials:
        yield f"{event.trial} is beyond {policy.trials} trials"


ALL: tuple[Invariant, ...] = (
    one_end_each,
    one_run_each,
    history_equals_ledger,
    decisions_are_the_rules,
    attempts_go_on,
    repeated_epochs_agree,
    checkpoints_are_sound,
    told_once,
    suggestions_are_the_samplers,
    nothing_is_left,
    budget_is_kept,
)


def violations(evidence: Evidence) -> list[str]:
    """All that is wrong, each with the invariant that it breaks."""
    found = []
    for invariant in ALL:
        try:
            found += [f"{invariant.__name__}: {words}" for words in invariant(evidence)]
        except (KeyError, SpksearchError, ValueError) as error:
            found.append(f"{invariant.__name__}: cannot be checked: {error!r}")
    return found


def lost_ledger_bytes(before: bytes, ledger: Path) -> list[str]:
    """Whether a ledger still begins with what it held before a fault, a torn last line apart."""
    complete = before[: before.rfind(b"\n") + 1]
    return [] if ledger.read_bytes().startswith(complete) else ["recorded events are gone"]
