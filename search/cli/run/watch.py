"""The verbs that look on while a search runs elsewhere: logs, wait."""

from typing import Annotated

import typer

from search.reporting import console

Name = Annotated[str, typer.Argument(metavar="NAME", help="The search.")]

LOGS = console.help_text(
    "What a trial, or a launch in the background, has said.",
    "spksearch logs triplet t0007",
    "spksearch logs triplet t0007 --follow    # until the trial ends, or its search",
    "spksearch logs triplet                   # of launch --detach",
)


def logs(
    name: Name,
    trial: Annotated[
        str | None, typer.Argument(metavar="TRIAL", help="[default: the launch itself].")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is said from now on.")
    ] = False,
) -> None:
    """What a trial, or a launch in the background, has said."""
    from search.launch import follow as watching

    if trial is None:
        pieces = watching.driver_log(name, follow)
    else:
        pieces = watching.trial_log(name, trial, follow)
    for piece in pieces:
        console.raw(piece)
    if trial is None and (code := watching.launch_code(name)):
        console.say(f"the launch of search {name!r} ended with exit code {code}")


WAIT = console.help_text(
    "Wait until a search has ended.",
    "spksearch wait triplet && spksearch promote triplet",
    "spksearch wait triplet --timeout 3600",
    more="Exit code 0: it ended, and there is a best trial. 4: it ended without a usable one. 5: "
    "more trials failed than --max-failed allows. 7: not ended at the timeout. 3: nobody drives "
    "it, and it has not ended. Where a launch in the background failed: that one's exit code.",
)


def wait(
    name: Name,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.0, help="[default: for ever].")
    ] = None,
) -> None:
    """Wait until a search has ended."""
    from search.launch import follow as watching
    from search.launch import summary
    from search.reporting.snapshot import snapshot
    from search.reporting.tables import snapshot_line

    state = watching.wait(name, timeout)
    console.answer(snapshot_line(snapshot(state)))
    if (problem := summary.lost_too_many(name, state)) is not None:
        raise problem
