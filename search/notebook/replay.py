"""Train entries of a notebook as the trials of a search, each to its last epoch.

All trials of a replay are queued and its ladder has one rung, so nothing is stopped early. It is
recorded, resumed, steered and browsed like any other search.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from search.core.errors import UsageError
from search.core.paths import ledger_path
from search.launch import launch, preparation
from search.launch.resources import require_asked_resources
from search.launch.settings import read_settings
from search.ledger.events import ReplayedNotebook
from search.ledger.ledger import Ledger
from search.ledger.settings import SearchSettings
from search.ledger.state import SearchState
from search.notebook.replay_plan import (
    SPACE,
    ReplayPlan,
    ReplayRequest,
    count_steps_per_epoch,
    default_epochs,
    describe_plan,
    plan_replay,
    queue_trials,
)
from search.space.loader import Branch, Space
from spaces.logged.scale import scale_config
from spkmodel.config import TrainConfig
from spkmodel.core.shell import quote_path

if TYPE_CHECKING:
    from search.reporting.terminal import SearchDisplay


@dataclass(frozen=True)
class ReplayOutcome:
    """How a replay ended, or what it would train."""

    plan: ReplayPlan
    state: SearchState | None
    """None after a dry run."""
    description: list[str]
    """The plan, as lines for people."""


def run_replay(request: ReplayRequest, display: "SearchDisplay") -> ReplayOutcome:
    """Train the entries of a replay, or resume training them.

    Raises:
        NotebookError: an entry is unknown, a range goes backwards, an encoder cannot be scaled.
        UsageError: the corpus does not fit, or the name is another replay's.
        Interrupted: a signal ended it; everything is saved.
    """
    plan = plan_replay(request)
    before = read_settings(plan.name)
    _check_same_replay(plan, request, before)
    require_asked_resources(request.launch, before)
    configs = {entry.number: scale_config(entry.config, plan.scale) for entry in plan.entries}
    branches = [Branch({"entry": number}, (), config) for number, config in configs.items()]
    launch_request = replace(
        request.launch,
        space=SPACE,
        corpus=request.corpus,
        name=plan.name,
        trials=len(plan.runs),
        max_epochs=request.epochs,
        default_trial=False,
    )
    corpus = preparation.open_checked_corpus(launch_request, branches, before)
    steps = {number: count_steps_per_epoch(config, corpus) for number, config in configs.items()}
    recorded_epochs = before.max_epochs if before is not None else None
    epochs = request.epochs or recorded_epochs or default_epochs(plan, steps)
    description = describe_plan(plan, corpus, steps, epochs)
    if request.launch.dry_run:
        return ReplayOutcome(plan, None, description)
    for line in description:
        display.print_line(line)
    space = _replay_space(plan)
    settings = preparation.prepare_settings(
        replace(launch_request, max_epochs=epochs), before, space, corpus, display
    )
    state = launch.run_search(
        plan.name,
        launch_request,
        space,
        # The sampler is never asked: a budget of no trials leaves those that are queued.
        settings.model_copy(update={"trials": 0, "rungs": (epochs,)}),
        before,
        display,
        queued=queue_trials(plan, configs, steps, epochs),
        replay=ReplayedNotebook(
            notebook=plan.notebook.name,
            scale=plan.scale.text,
            command=_format_command(request),
        ),
    )
    return ReplayOutcome(plan, state, description)


def _check_same_replay(
    plan: ReplayPlan, request: ReplayRequest, before: SearchSettings | None
) -> None:
    """Refuse to resume under this name if it belongs to another replay."""
    if before is None:
        return
    state = Ledger.open(ledger_path(plan.name)).state()
    recorded = state.search.replay
    if recorded is None:
        raise UsageError(f"search {plan.name!r} exists and is no replay; choose another --name")
    compared = {
        "notebook": (recorded.notebook, plan.notebook.name),
        "scale": (recorded.scale, plan.scale.text),
    }
    differences = [
        f"{key} {old} before, {new} now" for key, (old, new) in compared.items() if old != new
    ]
    if request.epochs not in (None, before.max_epochs):
        # Schedules end with the training: with more epochs it would be another one.
        differences.append(f"--max-epochs {before.max_epochs} before, {request.epochs} now")
    if differences:
        raise UsageError(
            f"replay {plan.name!r} exists and is another one: {'; '.join(differences)}; choose "
            "another --name"
        )


def _format_command(request: ReplayRequest) -> str:
    """Return the command that resumes the replay, without --name."""
    words = ["spksearch", "replay"]
    words += [request.entries] if request.entries else []
    words += ["--corpus", str(request.corpus), "--scale", request.scale.text]
    words += ["--file", str(request.file)] if request.file else []
    words += ["--check"] if request.check else []
    words += ["--seeds", str(request.seeds)] if request.seeds > 1 else []
    return " ".join(quote_path(word) for word in words)


def _replay_space(plan: ReplayPlan) -> Space:
    """Return what stands for a space in the ledger; its hash identifies notebook and scale."""
    digest = hashlib.sha256(f"{plan.notebook.name} {plan.scale.text}".encode()).hexdigest()
    question = f"What becomes of the entries of {plan.notebook.name}?"
    return Space(SPACE, _refuse_to_suggest, question, plan.notebook.path, digest)


def _refuse_to_suggest(trial: Any) -> TrainConfig:
    raise AssertionError(f"a replay has no ideas of its own: {trial}")
