"""The verbs that steer a running search from another terminal: stop, pause, resume, budget, add."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.options import Concurrent, DiskGb, KeepCheckpoints, SearchName
from search.core.errors import UsageError
from search.reporting import console

if TYPE_CHECKING:
    from search.ledger.state import SearchState

Reply = Literal["done", "asked", "recorded"]
"""What became of a request; see `search.engine.request_handler.ask`."""

_ANYWHERE = "Works from any machine that sees the search's folder in its SPKSEARCH_HOME."

_NOT_ANSWERED = (
    "Its driver has not answered yet: it may still be starting, or waiting for its storage. The "
    "request waits for it, and nothing is begun before it is heard; spksearch status {name} shows "
    "when it is so"
)

STOP = console.help_text(
    "Stop a search, or one trial of it, from another terminal.",
    "spksearch stop triplet              # running trials finish the epoch they are in",
    "spksearch stop triplet --now        # at once; the steps of that epoch are kept",
    "spksearch stop triplet t0007",
    more="Launching the search again goes on with everything but the trials stopped by name. In "
    "the MLflow page a tag `stop` on a trial's run stops it, on the search's run the search; the "
    f"value `now` does not wait for the epoch's end. {_ANYWHERE}",
)


def stop(
    name: SearchName,
    trial: Annotated[str | None, typer.Argument(metavar="TRIAL", help="Only this trial.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the epoch's end.")] = False,
) -> None:
    """Ask a running search to stop, or one of its trials."""
    from search.engine.request_handler import ask
    from search.launch import background
    from search.requests.messages import Stop, who

    # Before its first event a launch has no ledger to read requests from: its process is ended.
    if trial is None and (launched := background.end_early(name)) is not None:
        console.print_result(
            f"{launched.description}, which was only preparing search {name}, is ended"
        )
        return
    target = f"search {name}" if trial is None else f"trial {trial} of search {name}"
    match ask(name, Stop(by=who(), trial=trial, now=now)):
        case "done":
            console.print_result(
                f"{target} is asked to stop; spksearch status {name} shows when it has"
            )
        case "asked":
            console.print_result(f"{target} is asked to stop. {_NOT_ANSWERED.format(name=name)}")
        case "recorded":
            console.print_result(f"{target} is stopped; the search does not run")


PAUSE = console.help_text(
    "Start no new trial or segment in a running search; running ones train to their rung.",
    "spksearch pause triplet",
    "spksearch resume triplet",
    more="The budget of hours goes on counting. Launching the search again ends the pause. "
    + _ANYWHERE,
)


def pause(name: SearchName) -> None:
    """Ask a running search to start nothing new."""
    from search.engine.request_handler import ask
    from search.requests.messages import Pause, who

    _print_reply(
        name, ask(name, Pause(by=who())), f"search {name} is paused; spksearch resume {name}"
    )


RESUME = console.help_text("Continue a paused search.", "spksearch resume triplet", more=_ANYWHERE)


def resume(name: SearchName) -> None:
    """Ask a paused search to go on."""
    from search.engine.request_handler import ask
    from search.requests.messages import Unpause, who

    _print_reply(name, ask(name, Unpause(by=who())), f"search {name} goes on")


BUDGET = console.help_text(
    "Raise or lower the budgets of a search while it runs, or before it goes on.",
    "spksearch budget triplet --trials 48",
    "spksearch budget triplet --hours 12 --concurrent 4",
    "spksearch budget triplet --max-epochs 27     # the rungs follow",
    more="A budget below what has been used stops new trials; a trial beyond the last rung stops "
    "after its epoch. " + _ANYWHERE,
)


def budget(
    name: SearchName,
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Trials to run in all.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(metavar="HOURS", min=0.0, help="Hours to spend in all.")
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Epochs of one trial.")
    ] = None,
    finalists: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Least number of trials trained to the last epoch."),
    ] = None,
    concurrent: Concurrent = None,
    keep_checkpoints: KeepCheckpoints = None,
    disk_gb: DiskGb = None,
) -> None:
    """Change the budgets of a search."""
    from search.engine.request_handler import ask
    from search.launch.open_search import read_state
    from search.reporting.snapshot import format_resume_command
    from search.requests.messages import Budget, who

    if disk_gb is not None and not 0 < disk_gb < float("inf"):
        raise UsageError(f"--disk-gb must be positive, got {disk_gb}")
    if hours is not None and not 0 < hours < float("inf"):
        raise UsageError(f"--hours must be positive, got {hours}")
    request = Budget(
        by=who(),
        trials=trials,
        hours=hours,
        max_epochs=max_epochs,
        finalists=finalists,
        concurrent=concurrent,
        keep_checkpoints=keep_checkpoints,
        disk_gb=disk_gb,
    )
    if not request.changes():
        raise UsageError(
            "which budget? --trials, --hours, --max-epochs, --finalists, --concurrent, "
            "--keep-checkpoints or --disk-gb"
        )
    changes = ", ".join(f"{key.replace('_', ' ')} {it:g}" for key, it in request.changes().items())
    reply = ask(name, request)
    state = read_state(name)
    again = format_resume_command(state.search)
    text = f"search {name}: {changes}"
    if trials is not None and trials <= len(state.trials):
        text += (
            f"; {len(state.trials)} trials have begun already: no new one begins, and those that "
            "are there may still advance"
        )
    _print_reply(name, reply, text, f"it does not run; go on with\n  {again}")


ADD = console.help_text(
    "Add a config to be tried next: an entry of the log, or a trial with changes.",
    "spksearch add triplet --entry 116",
    "spksearch add triplet --trial t0007 --set optimiser.learning_rate=0.002",
    "spksearch add triplet --trial t0007 --set seed=1 --set loss.margin=0.3",
    more="It is tried before the sampler's next suggestion, whatever the budget of trials is, "
    "and is compared at the rungs like any other; `spksearch show NAME TRIAL` prints the "
    "paths. A value is read as JSON where possible: --set augment.speed=null. " + _ANYWHERE,
)


def add(
    name: SearchName,
    entry: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Number of the entry, such as 116.")
    ] = None,
    trial: Annotated[
        str | None, typer.Option(metavar="TRIAL", help="A trial of this search, such as t0007.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="A field of the config and its new value; may be repeated.",
        ),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            metavar="SCALE",
            help="Size of an entry's network and batches: full, small, 1/2, 1/4, 1/8 or 1/16.",
        ),
    ] = "full",
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your own notebook, which has the entry."),
    ] = None,
) -> None:
    """Ask a search to try a config next."""
    from search.engine.request_handler import ask
    from search.launch.open_search import read_state
    from search.notebook import additions
    from search.reporting.snapshot import format_resume_command
    from spaces.logged.scale import parse_scale

    state = read_state(name)
    changes = additions.parse_changes(assignments or [])
    size = parse_scale(scale)
    match entry, trial:
        case str(), None:
            request = additions.build_entry_request(
                state, entry, file=file, scale=size, changes=changes
            )
        case None, str() if file is None and size.is_full:
            request = additions.build_trial_request(state, trial, changes=changes)
        case None, str():
            raise UsageError("--scale and --file go with --entry, not with --trial")
        case _:
            raise UsageError(
                f"what is to be tried? spksearch add {name} --entry 116, or --trial t0007 --set "
                "path=value"
            )
    reply, again = ask(name, request), format_resume_command(state.search)
    text = _describe_added(state, request.origin.removeprefix("added: "))
    _print_reply(name, reply, text, f"it does not run; go on with\n  {again}")


def _describe_added(state: "SearchState", origin: str) -> str:
    """Return what is tried next, and what that does to the budget."""
    text = f"{origin} is tried next in search {state.search.search}"
    trials, ahead = state.search.trials, len(state.trials) + len(state.queue)
    if state.search.replay is not None or trials is None:
        return text
    if ahead >= trials:
        return f"{text}, beyond its budget of {trials} trials"
    return (
        f"{text}; it is one of the {trials} trials of the budget, of which {ahead} have begun or "
        "wait"
    )


def _print_reply(name: str, reply: Reply, text: str, without_driver: str = "") -> None:
    match reply:
        case "done":
            console.print_result(text)
        case "asked":
            console.print_result(
                f"asked, as soon as it can be: {text}\n{_NOT_ANSWERED.format(name=name)}"
            )
        case "recorded":
            console.print_result(f"{text}\n{without_driver}")
