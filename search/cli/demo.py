"""The verb `demo`: launch, promote and evaluate on a corpus of synthetic voices."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.reporting import console
from spkmodel.core.shell import quote_path

if TYPE_CHECKING:
    from rich.console import RenderableType

    from search.reporting.terminal import SearchDisplay

DEMO = console.help_text(
    "Launch, promote and evaluate on the built-in corpus; takes minutes on two cores.",
    "spksearch demo",
    "spksearch demo --dir /tmp/demo",
)

TRIALS = 10
MAX_EPOCHS = 27
NAME = "demo"


def demo(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Folder for everything that is written [default: SPKSEARCH_HOME].",
        ),
    ] = None,
) -> None:
    """Launch, promote and evaluate on voices made here."""
    from search.core.paths import home, make_home
    from search.reporting.terminal import stderr_display

    make_home(folder, console.print_note)
    console.print_result(*run_demo(folder or home(), stderr_display()))


def run_demo(folder: Path, display: "SearchDisplay") -> list["RenderableType"]:
    """Run every step in `folder`, and return what a person should read at the end.

    A second run goes on where the first one ended.

    Raises:
        DemoCorpusError: the extra that synthesises the voices is not installed.
        SpksearchError: a step failed.
    """
    from search.launch import launch
    from search.launch.settings import LaunchRequest
    from search.promotion import promote
    from search.reports import search_report
    from spkmodel.data.demo.corpus import make_demo_corpus

    with _home_at(folder):
        with display.task("speaking the built-in corpus", "utterances") as progress:
            corpus = make_demo_corpus(folder / "corpus", progress=progress)
        outcome = launch.launch(
            LaunchRequest(
                space="quickstart",
                corpus=corpus,
                name=NAME,
                trials=TRIALS,
                max_epochs=MAX_EPOCHS,
                dev_condition="mismatched",
            ),
            display,
        )
        report = promote.promote(NAME, display=display)
        page = search_report.write_report(NAME, folder.absolute() / NAME / "report")
    # The search's own next commands would repeat what stands at the end.
    table = outcome.lines[: outcome.lines.index("next:")]
    summary = promote.format_summary(report)
    return [*table, "", *summary, f"report of the search: {page}", "", *_next_commands(folder)]


def _next_commands(folder: Path) -> list[str]:
    prefix = "" if folder == Path("runs").absolute() else f"SPKSEARCH_HOME={quote_path(folder)} "
    return [
        "next:",
        f"  {prefix}spksearch ui {NAME}               # browse every trial",
        f"  {prefix}spksearch show {NAME} TRIAL       # one trial: config, curve, checkpoint",
        "  spksearch describe triplet              # what else can be searched",
        "  spksearch launch triplet --corpus DIR   # your own speech",
    ]


@contextmanager
def _home_at(folder: Path) -> Iterator[None]:
    """Set SPKSEARCH_HOME to `folder` for a while, so that every step writes below it."""
    before = os.environ.get("SPKSEARCH_HOME")
    os.environ["SPKSEARCH_HOME"] = str(folder.absolute())
    try:
        yield
    finally:
        if before is None:
            del os.environ["SPKSEARCH_HOME"]
        else:
            os.environ["SPKSEARCH_HOME"] = before
