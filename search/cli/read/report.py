"""The verb `report`: write the report of a search."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Json, SearchName, require_page
from search.reporting import console
from search.reporting.console import help_text

REPORT = help_text(
    "Write the report of a search: one HTML file that loads nothing from anywhere.",
    "spksearch report triplet                       # into the search's own folder",
    "spksearch report triplet --out triplet.html --png",
    more="The verdict first: the best trial with its interval, and whether it is better than the "
    "default config, than the second best and than no network. Then how the search went, what the "
    "parameters did, what to try next, and how to reproduce it. It is made from the ledger alone, "
    "of a search that runs too. A space file with the suggested ranges is written beside it.",
)


def report(
    name: SearchName,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The HTML file [default: report/report.html in the search]."
        ),
    ] = None,
    png: Annotated[
        bool, typer.Option("--png", help="Also write every figure as a PNG beside it.")
    ] = False,
    json_wanted: Json = False,
) -> None:
    """Write the report of a search, and print where it is."""
    from search.launch.open_search import describe_status, existing_search_folder, read_state
    from search.reports import search_report

    require_page(out, "--out")
    state = read_state(name)
    page = out or existing_search_folder(name) / "report" / search_report.REPORT
    written = search_report.write_files(name, page, pngs=png, status=describe_status(name, state))
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("report", name=name, **written.document()))
        return
    lines = [f"report: {written.page}"]
    lines += [f"ranges to try next: {written.space}"] if written.space else []
    lines += [f"figures: {len(written.pngs)} PNGs beside it"] if written.pngs else []
    console.print_result(*lines)
