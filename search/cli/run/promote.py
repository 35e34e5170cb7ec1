"""The verb `promote`: verify, register and evaluate the best trial of a search."""

from typing import Annotated

import typer

from search.cli.options import Json, SearchName
from search.reporting import console

PROMOTE = console.help_text(
    "Verify the best checkpoint, register it, and evaluate it once on the test pairs.",
    "spksearch promote triplet",
    "spksearch promote triplet --trial t0007 --alias champion",
    "spksearch promote triplet --if-better-than champion     # exit 5 if it is not shown to be",
    more="What the alias pointed to is compared on the same test pairs. With --if-better-than the "
    "alias is moved only if the whole 95 % interval of the difference is on the better side, and "
    "the version that it pointed to is kept as `previous`.",
)


def promote(
    name: SearchName,
    trial: Annotated[str | None, typer.Option(metavar="TRIAL", help="[default: the best].")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The registered model's name [default: spksearch-SEARCH]."
        ),
    ] = None,
    alias: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Alias of the new version [default: candidate]."),
    ] = None,
    if_better_than: Annotated[
        str | None,
        typer.Option(
            metavar="ALIAS",
            help="Move the alias only if the model is shown to be better than ALIAS's, exit 5 "
            "otherwise; without --alias it is ALIAS that is moved.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Move the alias even from a model of another corpus.")
    ] = False,
    json_wanted: Json = False,
) -> None:
    """Register a trial's checkpoint, evaluate it on the test pairs, and print the result."""
    from search.promotion.promote import format_summary
    from search.promotion.promote import promote as promote_trial
    from search.reporting.terminal import stderr_display

    report = promote_trial(
        name,
        trial=trial,
        model=model,
        alias=alias,
        if_better_than=if_better_than,
        force=force,
        display=stderr_display(),
    )
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("promotion", **report.as_json()))
    else:
        console.print_result(*format_summary(report))
    if report.problem is not None:
        raise report.problem
