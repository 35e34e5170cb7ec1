"""The verbs that watch a search which runs elsewhere: logs, wait."""

from typing import Annotated

import typer

from search.cli.options import SearchName
from search.reporting import console

LOGS = console.help_text(
    "Print the log of a trial, or of a launch in the background.",
    "spksearch logs triplet t0007",
    "spksearch logs triplet t0007 --follow    # until the trial ends, or its search",
    "spksearch logs triplet                   # of launch --detach",
)


def logs(
    name: SearchName,
    trial: Annotated[
        str | None, typer.Argument(metavar="TRIAL", help="A trial [default: the launch itself].")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow what is written from now on.")
    ] = False,
) -> None:
    """Print the log of a trial, or of a launch in the background."""
    from search.launch import follow as log_follower

    if trial is None:
        pieces = log_follower.driver_log(name, follow)
    else:
        pieces = log_follower.trial_log(name, trial, follow)
    for piece in pieces:
        console.print_raw(piece)
    if trial is None and (code := log_follower.launch_code(name)):
        console.print_note(f"the launch of search {name!r} ended with exit code {code}")


WAIT = console.help_text(
    "Wait until a search has ended.",
    "spksearch wait triplet && spksearch promote triplet",
    "spksearch wait triplet --timeout 3600",
    more="Exit code 0: it ended with a best trial. 4: it ended without a usable trial. 5: more "
    "trials failed than --max-failed allows. 7: it had not ended at the timeout. 3: it has not "
    "ended and no process runs it. If a launch in the background failed, its exit code.",
)


def wait(
    name: SearchName,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.0, help="[default: for ever].")
    ] = None,
) -> None:
    """Wait until a search has ended."""
    from search.launch import follow, summary
    from search.reporting.snapshot import take_snapshot
    from search.reporting.tables import format_snapshot_line

    state = follow.wait(name, timeout)
    console.print_result(format_snapshot_line(take_snapshot(state)))
    if (problem := summary.lost_too_many(name, state)) is not None:
        raise problem
