"""The whole story on the built-in corpus: voices, launch, promote, evaluate."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from search.launch import launch
from search.launch.settings import LaunchRequest

if TYPE_CHECKING:
    from rich.console import RenderableType

    from search.reporting.terminal import SearchDisplay

TRIALS = 10
MAX_EPOCHS = 27
NAME = "demo"


def run_demo(folder: Path, display: "SearchDisplay") -> list["RenderableType"]:
    """Run every step in `folder` and return what a person should read at the end.

    A second run goes on with the first one, whatever became of it.

    Raises:
        DemoCorpusError: if the extra that speaks the voices is not installed.
        SpksearchError: whatever a step refuses.
    """
    from search.promotion import promote
    from spkmodel.data import demo_corpus

    with _home(folder):
        with display.task("speaking the built-in corpus", "utterances") as progress:
            corpus = demo_corpus.make(folder / "corpus", progress=progress)
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
    # The search's own next commands would repeat what stands at the end.
    table = outcome.lines[: outcome.lines.index("next:")]
    return [*table, "", *promote.summary(report), "", *_next(folder)]


def _next(folder: Path) -> list[str]:
    place = "" if folder == Path("runs").absolute() else f"SPKSEARCH_HOME={folder} "
    return [
        "next:",
        f"  {place}spksearch ui {NAME}               # browse every trial",
        f"  {place}spksearch show {NAME} TRIAL       # one trial: config, curve, checkpoint",
        "  spksearch describe triplet              # what else can be searched",
        "  spksearch launch triplet --corpus DIR   # your own speech",
    ]


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """Everything that the steps write goes below `folder`."""
    before = os.environ.get("SPKSEARCH_HOME")
    os.environ["SPKSEARCH_HOME"] = str(folder.absolute())
    try:
        yield
    finally:
        if before is None:
            del os.environ["SPKSEARCH_HOME"]
        else:
            os.environ["SPKSEARCH_HOME"] = before
