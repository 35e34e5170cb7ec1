"""Train the best configs of a search again, with several seeds, before one of them is promoted.

One training tells little: at another seed another config may be ahead. The trainings are trials of
the search itself, through its queue, so they survive what all trials survive: the same command goes
on with them. They are trained to the last rung whatever the others do, and take no place at a rung.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.core.errors import NotFinished, NoUsableTrial, UsageError
from search.core.paths import existing_ledger
from search.data.location import parse_location
from search.evaluation import access_record
from search.launch import launch
from search.launch.settings import LaunchRequest
from search.ledger.events import QueuedEvent
from search.ledger.ledger import Ledger
from search.ledger.queue import DEFAULT_ORIGIN, FULL_LENGTH_PREFIX, QueuedTrial
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.promotion.winner_luck import Contender
from search.reporting.snapshot import format_resume_command
from spkmodel.config import TrainConfig

if TYPE_CHECKING:
    from search.reporting.terminal import SearchDisplay

MOST_SEEDS = 20


@dataclass(frozen=True)
class RetrainRequest:
    """What is to be trained again.

    Raises:
        UsageError: for a number that makes no sense.
    """

    top: int = 3
    """How many of the best configs; the default configuration comes on top of them."""
    seeds: int = 3
    """Trainings of each."""
    address: str | None = None
    """Of the Ray cluster; None: this machine."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"--top must be at least 1, got {self.top}")
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise UsageError(f"--seeds must be 1 to {MOST_SEEDS}, got {self.seeds}")


def retrain(name: str, request: RetrainRequest, display: "SearchDisplay") -> list[Contender]:
    """Train the best configs again, as trials of their search, and return them with their trials.

    Raises:
        NotFinished: the search runs, or has not used its budget.
        UsageError: it is a replay.
        NoUsableTrial: there is nothing to train again, or nothing of it could be trained.
    """
    path = existing_ledger(name)
    with access_record.open_idle_ledger(path, "it can be trained again") as ledger:
        _require_ended(ledger)
        state = ledger.state()
        wanted = plan_retraining(state, request)
        for _, queued in wanted:
            for each in queued:
                if each.key not in state.queue and each.key not in state.begun:
                    ledger.append(QueuedEvent.from_queued(each))
        state = ledger.state()
    if any(each.key in state.queue or _is_open(state, each) for _, q in wanted for each in q):
        search = state.search
        launch.launch(
            LaunchRequest(
                space=search.space_file or search.space,
                corpus=parse_location(search.corpus),
                name=name,
                address=request.address,
            ),
            display,
        )
        state = Ledger.open(path).state()
    return collect_contenders(state, wanted)


def plan_retraining(
    state: SearchState, request: RetrainRequest
) -> list[tuple[TrialRecord, list[QueuedTrial]]]:
    """Return the configs to be trained again, best first, each with its trainings.

    Raises:
        NoUsableTrial: no trial has a result at the last rung.
    """
    chosen = _select_configs(state, request.top)
    if not chosen:
        raise NoUsableTrial(
            f"search {state.search.search!r} has no trial at the last rung "
            f"({state.rungs[-1]} epochs): nothing to train again"
        )
    return [
        (trial, [_queue_trial(state, trial, number) for number in range(1, request.seeds + 1)])
        for trial in chosen
    ]


def _select_configs(state: SearchState, top: int) -> list[TrialRecord]:
    """Return the best trials of the last rung, and the default configuration."""
    last = state.rungs[-1]
    ranked = [trial for trial in state.ranked() if trial.competes]
    chosen = [trial for trial in ranked if last in trial.reports][:top]
    if not chosen:
        return []
    default = next((trial for trial in ranked if trial.origin == DEFAULT_ORIGIN), None)
    if default is not None and default not in chosen:
        chosen.append(default)
    return chosen


def _queue_trial(state: SearchState, trial: TrialRecord, number: int) -> QueuedTrial:
    # The training that the choice was made by is not one of them: its EER flatters it.
    seed = state.search.seed + number
    config = TrainConfig.model_validate(trial.config).model_copy(update={"seed": seed})
    return QueuedTrial(
        f"{FULL_LENGTH_PREFIX}{config.signature}",
        config.model_dump(mode="json"),
        f"{trial.trial} again, seed {seed}",
    )


def collect_contenders(
    state: SearchState, wanted: Sequence[tuple[TrialRecord, list[QueuedTrial]]]
) -> list[Contender]:
    """Return the configs with the trials that were trained to the last rung.

    Raises:
        NoUsableTrial: none was.
        NotFinished: some still wait, since the search's hours are used up or it was stopped.
    """
    waiting = [each for _, queued in wanted for each in queued if each.key in state.queue]
    waiting += [each for _, queued in wanted for each in queued if _is_open(state, each)]
    if waiting:
        raise NotFinished(
            f"{len(waiting)} trainings of search {state.search.search!r} are not done "
            f"({state.finish.reason if state.finish else 'it was interrupted'}); the same command "
            f"goes on with them, where the search may: {format_resume_command(state.search)}"
        )
    found = []
    for trial, queued in wanted:
        names = [state.begun[each.key] for each in queued if each.key in state.begun]
        complete = [name for name in names if state.trials[name].state == "complete"]
        if complete:
            is_default = trial.origin == DEFAULT_ORIGIN
            found.append(Contender(trial.trial, tuple(complete), is_default))
    if not found:
        raise NoUsableTrial(
            f"none of the trainings of search {state.search.search!r} came to its end; "
            f"`spksearch trials {state.search.search}` says why"
        )
    return found


def _is_open(state: SearchState, queued: QueuedTrial) -> bool:
    trial = state.trials.get(state.begun.get(queued.key, ""))
    if trial is None:
        return False
    out_of_budget = trial.state == "stopped" and trial.ended_by == "budget"
    return trial.state in ("running", "paused") or out_of_budget


def _require_ended(ledger: Ledger) -> None:
    """Require that a launch would do nothing but train again."""
    state = ledger.state()
    name = state.search.search
    if state.search.replay is not None:
        raise UsageError(
            f"{name!r} is a replay: its entries are its trials; `spksearch replay --seeds N` "
            "trains each with several seeds"
        )
    queued = [key for key in state.queue if key.startswith(FULL_LENGTH_PREFIX)]
    if queued or any(not trial.competes for trial in state.trials.values()):
        return  # begun before: what is missing is what was asked for
    if launch.has_work(ledger):
        tried = len(state.trials)
        raise NotFinished(
            f"search {name!r} has not used its budget ({tried} of {state.search.trials} trials); "
            f"go on with it:\n  {format_resume_command(state.search)}\nor end it here: spksearch "
            f"budget {name} --trials {tried}"
        )
