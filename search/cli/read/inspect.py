"""The verbs that print what is recorded: describe, list, status, trials, show."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Json, SearchName
from search.reporting import console
from search.reporting.console import help_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from search.space.loader import Axis

DESCRIBE = help_text(
    "Print the parameters (axes) of a space: name, range, condition, log entries behind it.",
    "spksearch describe triplet",
    "spksearch describe spaces/mine.py --json",
)


def describe(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="A space's name or path.")],
    json_wanted: Json = False,
) -> None:
    """Print the axes of a space."""
    from search.space import loader, trial_walk

    trial_walk.require_end(space)
    loaded = loader.load(space)
    described = loader.describe(loaded)
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(
            document(
                "describe",
                space=loaded.name,
                question=loaded.question,
                path=str(loaded.path),
                sha256=loaded.sha256,
                axes=[asdict(axis) for axis in described],
            )
        )
        return
    console.print_result(f"{loaded.name}: {loaded.question}", "", _axis_table(described), "")
    extent = loader.format_extent(loaded, len(loader.branches(loaded)))
    console.print_result(f"{len(described)} axes; {extent}")


def _axis_table(axes: "Sequence[Axis]") -> "Table":
    """Return a table with a row for each axis, and a column of log entries if there are any."""
    from rich.table import Table

    with_entries = any(axis.entries for axis in axes)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("axis", no_wrap=True)
    for heading in ("range", "asked when", *(["log"] if with_entries else [])):
        table.add_column(heading, overflow="fold")
    for axis in axes:
        row = [axis.name, axis.range_text, axis.condition or "always"]
        table.add_row(*row, *([axis.entries] if with_entries else []))
    return table


LIST = help_text("Print all searches in SPKSEARCH_HOME.", "spksearch list", "spksearch list --json")


def list_searches(json_wanted: Json = False) -> None:
    """Print all searches, by name."""
    from search.core.paths import home, list_searches
    from search.reporting.documents import document
    from search.reporting.trial_tables import search_table

    rows = [row for name in list_searches() if (row := _row(name)) is not None]
    if json_wanted:
        console.print_json(document("list", home=str(home()), searches=rows))
    elif rows:
        console.print_result(search_table(rows))
    else:
        console.print_note(
            f"no search in {home()}; start one: spksearch launch quickstart --corpus DIR"
        )


def _row(name: str) -> dict[str, Any] | None:
    """Return a search as a row of the list; None, with a message to stderr, if it is unreadable."""
    from search.core.errors import SpksearchError
    from search.launch.open_search import describe_status, read_state
    from search.reporting.documents import snapshot_document
    from search.reporting.snapshot import take_snapshot, to_unix_time

    try:
        state = read_state(name)
    except SpksearchError as error:
        console.print_note(f"{name}: {error}")
        return None
    now = time.time()
    last = (
        state.sessions[-1].last.timestamp() if state.sessions else to_unix_time(state.search.time)
    )
    return snapshot_document(take_snapshot(state, status=describe_status(name, state), now=now)) | {
        "age_seconds": max(0.0, now - last)
    }


STATUS = help_text(
    "Print the state of a search on one screen.",
    "spksearch status triplet",
    "spksearch status triplet --json",
    "spksearch status                # all searches, as list does",
)


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The search [default: all, in short].")
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Print the state, rungs, best trial and speed of a search, and the next commands."""
    if name is None:
        list_searches(json_wanted)
        return
    from search.launch.open_search import describe_status, read_state
    from search.reporting.snapshot import take_snapshot
    from search.reporting.tables import snapshot_table

    state = read_state(name)
    snapshot = take_snapshot(state, status=describe_status(name, state))
    if json_wanted:
        from search.reporting.documents import document, snapshot_document

        console.print_json(document("status", **snapshot_document(snapshot)))
    else:
        console.print_result(snapshot_table(snapshot))


TRIALS = help_text(
    "Print all trials of a search, best first.",
    "spksearch trials triplet",
    "spksearch trials triplet --sort learning_rate",
    "spksearch trials triplet --json",
    "spksearch trials triplet --pareto --plot front.png    # dev EER against size",
    more="--sort takes trial, state, rung, epochs, dev_eer, encoder_parameters or the name of an "
    "axis. --pareto shows only the trials that no other trial beats in both dev EER and number "
    "of encoder weights.",
)


def trials(
    name: SearchName,
    sort: Annotated[
        str | None, typer.Option(metavar="COL", help="Lowest first [default: dev_eer].")
    ] = None,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Only the front of dev EER and size, smallest first.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The front as a PNG; with --pareto.")
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Print the trials of a search, one a line."""
    if pareto or plot:
        _print_front(name, sort, pareto, plot, json_wanted)
        return
    sort = sort or "dev_eer"
    from search.launch.open_search import describe_status, read_state
    from search.reporting.trial_tables import sort_trials, trial_table

    state = read_state(name)
    ordered = sort_trials(state, sort)
    status = describe_status(name, state)
    if json_wanted:
        from search.reporting.documents import document, trial_document

        rows = [trial_document(trial, status) for trial in ordered]
        console.print_json(document("trials", name=name, state=status, sort=sort, trials=rows))
    elif ordered:
        console.print_result(trial_table(state, ordered, status))
    else:
        console.print_note(f"search {name!r} has no trial yet")


def _print_front(
    name: str, sort: str | None, pareto: bool, plot: Path | None, json_wanted: bool
) -> None:
    """Print the Pareto front of a search, and draw it into a file if one is named."""
    from search.core.errors import UsageError
    from search.launch.open_search import describe_status, read_state
    from search.reporting.trial_tables import find_front, front_table

    if not pareto:
        raise UsageError("--plot draws the Pareto front: give --pareto too")
    if sort is not None:
        raise UsageError("--pareto has an order of its own, by size: leave out --sort")
    if plot is not None and plot.suffix.lower() != ".png":
        raise UsageError(f"--plot writes a PNG: name a file .png, got {plot}")
    state = read_state(name)
    front, others = find_front(state)
    if plot is not None and front:
        from search.reporting.pareto_figure import draw_front

        draw_front(plot, front, others, f"{name}: dev EER against size")
        console.print_note(f"wrote {plot}")
    if json_wanted:
        from search.reporting.documents import document, trial_document

        status = describe_status(name, state)
        rows = [trial_document(trial, status) for trial in front]
        console.print_json(
            document("front", name=name, state=status, trials=rows, others=len(others))
        )
    elif front:
        console.print_result(front_table(state))
    else:
        console.print_note(f"search {name!r} has no trial with a dev EER and a known size yet")


SHOW = help_text(
    "Print one trial: its config, what differs in it from the others, learning curve, checkpoint.",
    "spksearch show triplet t0007",
    "spksearch show triplet t0007 --plot t0007.png    # dev EER and training loss by epoch",
    "spksearch show triplet t0007 --json",
)


def show(
    name: SearchName,
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="A trial, such as t0007.")],
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw dev EER and training loss by epoch, as a PNG."),
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Print one trial in detail, and draw its learning curves if a file is named."""
    from search.launch.open_search import (
        describe_status,
        existing_search_folder,
        find_trial,
        read_state,
    )
    from spkmodel.config import TrainConfig

    state = read_state(name)
    record = find_trial(name, state, trial)
    status = describe_status(name, state)
    if plot is not None:
        from search.reporting.learning_curves import plot_trial

        plot_trial(plot, name, state, record)
        console.print_note(f"dev EER and training loss by epoch: {plot}")
    if json_wanted:
        from search.reporting.documents import document, full_trial_document

        console.print_json(document("trial", **full_trial_document(state, record, status)))
        return
    from search.reporting.trial_tables import trial_page

    default = TrainConfig().model_dump(mode="json")
    console.print_result(*trial_page(state, record, status, existing_search_folder(name), default))


BEST = help_text(
    "Print the best trial of a search, as show does.",
    "spksearch best triplet",
    "spksearch best triplet --json",
    more="The best trial has the lowest dev EER at any of its epochs; `promote` takes the same.",
)


def best(
    name: SearchName,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw dev EER and training loss by epoch, as a PNG."),
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Print the best trial of a search in detail."""
    from search.core.errors import NoUsableTrial
    from search.launch.open_search import read_state

    ranked = read_state(name).ranked()
    if not ranked:
        raise NoUsableTrial(
            f"search {name!r} has no trial with a dev EER yet; `spksearch status {name}` shows why"
        )
    show(name, ranked[0].trial, plot, json_wanted)
