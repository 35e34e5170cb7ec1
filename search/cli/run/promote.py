"""The verb `promote`: verify, register and evaluate the best trial of a search."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.option_groups import expand_groups
from search.cli.options import Address, Json, SearchName
from search.core.errors import UsageError
from search.reporting import console

if TYPE_CHECKING:
    from search.promotion.winner_luck import Contender

PROMOTE = console.help_text(
    "Verify the best checkpoint, register it, and evaluate it once on the test pairs.",
    "spksearch promote triplet",
    "spksearch promote triplet --trial t0007 --alias champion",
    "spksearch promote triplet --if-better-than champion     # exit 5 if it is not shown to be",
    "spksearch promote triplet --retrain --top 3 --seeds 3",
    more="What the alias pointed to is compared on the same test pairs. With --if-better-than the "
    "alias is moved only if the whole 95 % interval of the difference is on the better side, and "
    "the version that it pointed to is kept as `previous`. --retrain trains the best configs, and "
    "the default configuration, again to the last epoch with other seeds, as trials of the search; "
    "the median seed of the config that is probably the best is promoted.",
)


@dataclass(frozen=True, kw_only=True)
class RegistryOptions:
    """Under which name and alias a model is registered, and when the alias is moved."""

    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The registered model's name [default: spksearch-SEARCH]."
        ),
    ] = None
    alias: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Alias of the new version [default: candidate]."),
    ] = None
    if_better_than: Annotated[
        str | None,
        typer.Option(
            metavar="ALIAS",
            help="Move the alias only if the model is shown to be better than ALIAS's, exit 5 "
            "otherwise; without --alias it is ALIAS that is moved.",
        ),
    ] = None
    force: Annotated[
        bool, typer.Option("--force", help="Move the alias even from a model of another corpus.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class RetrainOptions:
    """What is trained again before one of it is promoted."""

    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the best configs again with other seeds first.")
    ] = False
    top: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="Of --retrain: configs [default: 3].")
    ] = None
    seeds: Annotated[
        int | None,
        typer.Option(metavar="S", min=1, help="Of --retrain: trainings of each [default: 3]."),
    ] = None
    address: Address = None


@expand_groups
def promote(
    name: SearchName,
    registry: RegistryOptions,
    again: RetrainOptions,
    trial: Annotated[str | None, typer.Option(metavar="TRIAL", help="[default: the best].")] = None,
    json_wanted: Json = False,
) -> None:
    """Register a trial's checkpoint, evaluate it on the test pairs, and print the result."""
    from search.promotion.promote import format_summary
    from search.promotion.promote import promote as promote_trial
    from search.reporting.terminal import stderr_display

    report = promote_trial(
        name,
        trial=trial,
        contenders=_train_again(name, again, trial),
        display=stderr_display(),
        **asdict(registry),
    )
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("promotion", **report.as_json()))
    else:
        console.print_result(*format_summary(report))
    if report.problem is not None:
        raise report.problem


def _train_again(name: str, options: RetrainOptions, trial: str | None) -> "Sequence[Contender]":
    """Train the best configs again, if that is asked for."""
    if not options.retrain:
        if (options.top, options.seeds, options.address) != (None, None, None):
            raise UsageError("--top, --seeds and --address belong to --retrain")
        return ()
    if trial is not None:
        raise UsageError("--retrain chooses the trial itself; leave out --trial")
    from search.promotion.retrain import RetrainRequest, retrain
    from search.reporting.terminal import stderr_display

    request = RetrainRequest(
        top=options.top or 3, seeds=options.seeds or 3, address=options.address
    )
    return retrain(name, request, stderr_display())
