"""The verb `replay`: entries of a notebook as trials of a search, and claims put to the test."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import (
    Address,
    AllowOverlap,
    Concurrent,
    CpusPerTrial,
    DevCondition,
    DryRun,
    GpusPerTrial,
    Insecure,
    Json,
    Noise,
    Rooms,
    TrackingUri,
)
from search.core.errors import NoUsableTrial
from search.reporting import console

if TYPE_CHECKING:
    from search.notebook.claims import Judged
    from search.notebook.replay import Replay, ReplayOutcome, Result

REPLAY = console.help_text(
    "Run entries of the log, or of a notebook of yours, as the trials of a search.",
    "spksearch replay 100-111 --corpus data/speech --scale small",
    "spksearch replay 101-106,116,122 --corpus data/speech",
    "spksearch replay --check --seeds 3 --corpus data/speech --scale small   # all claims",
    "spksearch replay 20,33 --check --seeds 3 --corpus data/speech --scale small",
    more="An entry that was retrained from another one starts from that one's weights, which is "
    "run before it. Every trial is trained to the last epoch. The same call again goes on. "
    "--scale small is 1/4: a quarter of the widths, half the crops and the speakers a batch, "
    "schedules in proportion; the names of trials say so.",
)


def replay(
    corpus: Annotated[str, typer.Option(metavar="DIR|URI", help="The corpus.")],
    entries: Annotated[
        str, typer.Argument(metavar="ENTRIES", help="Such as 101-106,116.", show_default=False)
    ] = "",
    scale: Annotated[
        str, typer.Option(metavar="SCALE", help="full, small, 1/2, 1/4, 1/8 or 1/16.")
    ] = "full",
    check: Annotated[
        bool, typer.Option("--check", help="Test what the log claims of these entries, or of all.")
    ] = False,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Of each entry.")] = 1,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A notebook of yours [default: the log].")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The search's name [default: its entries].")
    ] = None,
    max_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Of each trial [default: 6; at full scale the log's steps]."
        ),
    ] = None,
    concurrent: Concurrent = None,
    gpus_per_trial: GpusPerTrial = None,
    cpus_per_trial: CpusPerTrial = None,
    address: Address = None,
    insecure: Insecure = False,
    tracking_uri: TrackingUri = None,
    dev_condition: DevCondition = None,
    noise: Noise = None,
    rooms: Rooms = None,
    allow_overlap: AllowOverlap = False,
    dry_run: DryRun = False,
    json_wanted: Json = False,
) -> None:
    """Run entries of a notebook, and test what they claim."""
    from search.data import location
    from search.launch.settings import LaunchRequest
    from search.notebook import replay as replays
    from search.reporting.terminal import for_stderr
    from spaces.logged.scale import scale_of

    place = location.parsed(corpus)
    request = replays.ReplayRequest(
        entries=entries,
        corpus=place,
        scale=scale_of(scale),
        file=file,
        check=check,
        seeds=seeds,
        epochs=max_epochs,
        launch=LaunchRequest(
            space=replays.SPACE,
            corpus=place,
            name=name,
            concurrent=concurrent,
            gpus_per_trial=gpus_per_trial,
            cpus_per_trial=cpus_per_trial,
            address=address,
            insecure=insecure,
            tracking_uri=tracking_uri,
            dev_condition=dev_condition,
            noise=noise,
            rooms=rooms,
            allow_overlap=allow_overlap,
            dry_run=dry_run,
        ),
    )
    _answer(replays.replay(request, for_stderr()), json_wanted)


def _answer(outcome: "ReplayOutcome", json_wanted: bool) -> None:
    from search.notebook import replay as replays

    what, state = outcome.replay, outcome.state
    if state is None:
        console.answer(*outcome.plan, "nothing was started or written; leave out --dry-run to run")
        return
    found, judged = replays.results(what, state), replays.judged(what, state)
    _print(what, found, judged, json_wanted)
    if state.finish is not None and not state.ranked():
        reasons = "; ".join(f"{each.entry.number}: {each.reason}" for each in found[:3])
        raise NoUsableTrial(f"replay {what.name} ended and no entry has a dev EER ({reasons})")


def _print(
    what: "Replay", found: "list[Result]", judged: "list[Judged]", json_wanted: bool
) -> None:
    from search.notebook import replay_pages as pages
    from search.reporting.documents import document

    if json_wanted:
        console.data(
            document(
                "replay",
                name=what.name,
                notebook=what.notebook.name,
                scale=what.scale.text,
                results=[pages.of_result(each) for each in found],
                claims=[pages.of_judged(each) for each in judged],
            )
        )
        return
    console.answer(pages.scale_line(what), pages.result_table(what, found))
    if judged:
        console.answer("", pages.claim_table(judged), "", pages.verdict_line(judged))
    console.answer("", f"next    spksearch ui {what.name}", f"        spksearch trials {what.name}")
