"""The verb `compare`: models on the same pairs."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Json, Noise, Rooms, require_page
from search.reporting import console
from search.reporting.console import help_text
from spkmodel.core.condition_names import Condition

COMPARE = help_text(
    "Compare searches, trials, models or evaluations on the same pairs.",
    "spksearch compare triplet/t0007 triplet/t0012         # on the dev pairs of their search",
    "spksearch compare triplet margin_softmax --out both.html",
    "spksearch compare triplet/t0007 models:/spksearch-triplet@candidate \\\n"
    "      --corpus data --pairs test_trials.txt",
    "spksearch compare evaluations/one evaluations/two     # scores that are there already",
    more="A search stands for its best trial. The difference of two EERs is paired: what both have "
    "in common, such as a hard speaker, cancels. Its 95 % interval is over the draw of speakers; "
    "`first better` is the probability that the first has the lower EER. Evaluations of test pairs "
    "are counted in the ledger.",
)


def compare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="A B...", help="Searches, trials, models, folders of evaluations."),
    ],
    corpus: Annotated[
        str | None, typer.Option(metavar="DIR|URI", help="Where the utterances of --pairs are.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of pairs [default: the dev pairs].")
    ] = None,
    condition: Annotated[
        Condition | None, typer.Option(help="Condition of the utterances of --pairs.")
    ] = None,
    noise: Noise = None,
    rooms: Rooms = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page, as one HTML file.")
    ] = None,
    png: Annotated[
        bool, typer.Option("--png", help="Also write the page's figures as PNGs beside it.")
    ] = False,
    json_wanted: Json = False,
) -> None:
    """Compare models on the same pairs, and print the differences."""
    from search.core.errors import UsageError
    from search.data.location import parse_location
    from search.reporting.terminal import stderr_display
    from search.reports import comparison, comparison_page

    require_page(out, "--out")
    if png and out is None:
        raise UsageError("--png belongs to --out FILE")
    result = comparison.compare(
        names,
        None if corpus is None else parse_location(corpus),
        pairs,
        condition,
        noise=noise,
        rooms=rooms,
        display=stderr_display(),
    )
    if out is not None:
        written = comparison_page.write_comparison_page(result, out, pngs=png)
        console.print_note(f"page: {written}")
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("comparison", **result.document()))
    else:
        console.print_result(*comparison_page.format_comparison(result))
