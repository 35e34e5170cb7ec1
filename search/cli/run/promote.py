"""The verb `promote`: verify, register and evaluate the best trial of a search."""

from typing import Annotated

import typer

from search.cli.options import Json, SearchName
from search.reporting import console

PROMOTE = console.help_text(
    "Verify the best checkpoint, register it, and evaluate it once on the test pairs.",
    "spksearch promote triplet",
    "spksearch promote triplet --trial t0007 --alias champion",
)


def promote(
    name: SearchName,
    trial: Annotated[str | None, typer.Option(metavar="TRIAL", help="[default: the best].")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The registered model's name [default: spksearch-SPACE]."
        ),
    ] = None,
    alias: Annotated[
        str, typer.Option(metavar="NAME", help="Alias of the new version.")
    ] = "candidate",
    json_wanted: Json = False,
) -> None:
    """Register a trial's checkpoint, evaluate it on the test pairs, and print the result."""
    from search.promotion.promote import format_summary
    from search.promotion.promote import promote as promote_trial
    from search.reporting.terminal import stderr_display

    report = promote_trial(name, trial=trial, model=model, alias=alias, display=stderr_display())
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("promotion", **report.as_json()))
    else:
        console.print_result(*format_summary(report))
