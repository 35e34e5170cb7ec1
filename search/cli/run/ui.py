"""The verb `ui`: serve the MLflow UI on the store of a search."""

from typing import Annotated

import typer

from search.reporting import console

UI = console.help_text(
    "Serve the MLflow UI on the right store, until Ctrl-C; prints the address to open.",
    "spksearch ui triplet",
    "spksearch ui --port 5000",
)


def ui(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Open on this search's trials.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=65535, help="[default: a free one].")
    ] = None,
) -> None:
    """Serve the MLflow UI until it is interrupted."""
    from search.tracking.ui import serve

    serve(name, port=port, say=console.print_result)
