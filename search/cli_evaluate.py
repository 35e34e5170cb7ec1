"""The verb `evaluate`: a model, a list of pairs, and how they are to be scored."""

from pathlib import Path
from typing import Annotated

import typer

from search import console
from search.cli_run import Condition, Json
from search.documents import document

EVALUATE = console.help_text(
    "Score a list of pairs with a model, and report its EER with its interval.",
    "spksearch evaluate models:/spksearch-triplet@candidate --corpus data --pairs test_trials.txt",
    "spksearch evaluate triplet/t0007 --corpus data --pairs pairs.txt --condition mismatched",
    more="MODEL is models:/NAME@ALIAS or models:/NAME/VERSION, SEARCH/TRIAL, or the folder of a "
    "promoted model or of a checkpoint.",
)


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    corpus: Annotated[Path, typer.Option(metavar="DIR", help="Where the utterances are.")],
    pairs: Annotated[Path, typer.Option(metavar="FILE", help="A list of pairs.")],
    condition: Annotated[Condition, typer.Option(help="How the pairs sound.")] = "clean",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where report, plots and scores go.")
    ] = None,
    noise: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Ambiences; also $SPKSEARCH_NOISE.")
    ] = None,
    rooms: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Room responses; also $SPKSEARCH_ROOMS.")
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Judge a model on a list of pairs."""
    from search.evaluate import evaluate as evaluate_model
    from search.evaluate import summary
    from search.live import for_stderr

    report = evaluate_model(
        model,
        corpus=corpus,
        pairs=pairs,
        condition=condition,
        out=out,
        noise=noise,
        rooms=rooms,
        display=for_stderr(),
    )
    if json_wanted:
        console.data(document("evaluation", folder=str(report.folder), **report.document))
    else:
        console.answer(*summary(report))
