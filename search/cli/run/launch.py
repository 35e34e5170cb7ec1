"""The verbs that do something: demo, launch, promote, ui; `evaluate` has its own module."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.options import (
    Address,
    AllowOverlap,
    Concurrent,
    CpusPerTrial,
    DevCondition,
    DiskGb,
    DryRun,
    GpusPerTrial,
    Insecure,
    Json,
    KeepCheckpoints,
    Noise,
    Rooms,
    TrackingUri,
)
from search.core.errors import UsageError
from search.data.location import parsed
from search.reporting import console
from search.reporting.documents import document

if TYPE_CHECKING:
    from search.launch.settings import LaunchRequest

DEMO = console.help_text(
    "The whole story on the built-in corpus: launch, promote, evaluate. Minutes on two cores.",
    "spksearch demo",
    "spksearch demo --dir /tmp/demo",
)


def demo(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="Where everything goes [default: SPKSEARCH_HOME]."
        ),
    ] = None,
) -> None:
    """Launch, promote and evaluate on voices made here."""
    from search.cli.demo import run_demo
    from search.core.paths import home
    from search.reporting.terminal import for_stderr

    console.answer(*run_demo(folder or home(), for_stderr()))


LAUNCH = console.help_text(
    "Start a search. The same call again resumes it, or extends it with larger budgets.",
    "spksearch launch quickstart --corpus data/speech",
    "spksearch launch triplet --corpus data/speech --trials 24 --dev-condition mismatched",
    "spksearch launch triplet --trials 48        # go on, with a larger budget",
    "spksearch launch triplet --corpus data/speech --dry-run",
    "spksearch launch triplet --corpus data/speech --detach     # in the background",
    "spksearch launch triplet --corpus data/speech --name again --warm-start triplet",
    "spksearch launch fewer_parameters --corpus data/speech \\\n"
    "      --objectives dev_eer,encoder_parameters",
    more="SPACE is a file of spaces/ by name, or a path to a file of yours; a space is code and is "
    "run. --warm-start begins with what is known: the best and most different points of the log or "
    "of an earlier search are tried first, and the sampler heeds them all as a prior that fades; "
    "what does not lie in the space is left out and said. With two --objectives a small encoder "
    "counts beside a low EER: trials --pareto shows the front.",
)


def launch(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="A space's name or path.")],
    corpus: Annotated[
        str | None,
        typer.Option(metavar="DIR|URI", help="The corpus; a resumed search knows its own."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The search's name [default: the space's].")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Configs to try [default: 24].")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(metavar="HOURS", min=0.0, help="Time to spend.")
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Of one trial [default: 9].")
    ] = None,
    max_failed: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="End when more trials than these have failed [default: never]."
        ),
    ] = None,
    finalists: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Trials trained to the last epoch at least [default: 1]."
        ),
    ] = None,
    keep_checkpoints: KeepCheckpoints = None,
    disk_gb: DiskGb = None,
    concurrent: Concurrent = None,
    gpus_per_trial: GpusPerTrial = None,
    cpus_per_trial: CpusPerTrial = None,
    address: Address = None,
    insecure: Insecure = False,
    tracking_uri: TrackingUri = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Of the sampler and of the carving of dev speakers."),
    ] = None,
    dev_condition: DevCondition = None,
    rule: Annotated[
        Literal["promotion", "stopping"] | None,
        typer.Option(help="How trials are stopped early [default: promotion]."),
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="What is to be low: dev_eer, or dev_eer,encoder_parameters [default: dev_eer].",
        ),
    ] = None,
    warm_start: Annotated[
        str | None,
        typer.Option(metavar="logged|SEARCH", help="Begin with the log, or an earlier search."),
    ] = None,
    warm_start_trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Points of --warm-start tried first [default: 5, or a third of --trials if less].",
        ),
    ] = None,
    noise: Noise = None,
    rooms: Rooms = None,
    allow_overlap: AllowOverlap = False,
    dry_run: DryRun = False,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="In the background; with --address as a job of the cluster."),
    ] = False,
) -> None:
    """Start a search, or go on with it."""
    from search.launch.launch import launch as launch_search
    from search.launch.settings import LaunchRequest
    from search.launch.settings import objectives as named
    from search.reporting.terminal import for_stderr

    request = LaunchRequest(
        space=space,
        corpus=parsed(corpus) if corpus else _corpus_before(name or Path(space).stem),
        name=name,
        trials=trials,
        hours=hours,
        max_failed=max_failed,
        max_epochs=max_epochs,
        finalists=finalists,
        keep_checkpoints=keep_checkpoints,
        disk_gb=disk_gb,
        concurrent=concurrent,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        address=address,
        insecure=insecure,
        tracking_uri=tracking_uri,
        seed=seed,
        dev_condition=dev_condition,
        rule=rule,
        objectives=None if objectives is None else named(objectives),
        warm_start=warm_start,
        warm_start_trials=warm_start_trials,
        noise=noise,
        rooms=rooms,
        allow_overlap=allow_overlap,
        dry_run=dry_run,
    )
    if detach:
        _detach(request)
        return
    outcome = launch_search(request, for_stderr())
    console.answer(*outcome.lines)
    if outcome.problem is not None:
        raise outcome.problem


def _detach(request: "LaunchRequest") -> None:
    from search.launch import background
    from search.requests.messages import who

    launched = background.launch(request, who())
    name = request.name or Path(request.space).stem
    console.answer(
        f"search {name} is launched in the background: {launched.words}",
        *(f"  spksearch {line} {name}" for line in ("status", "logs", "wait", "stop")),
    )


def _corpus_before(name: str) -> Path | str:
    """The corpus that the search of this name was launched on."""
    from search.core.paths import ledger_path
    from search.launch.open_search import state_of

    if not ledger_path(name).is_file():
        raise UsageError(
            f"a new search needs a corpus: spksearch launch ... --corpus DIR (there is no search "
            f"{name!r} to go on with)"
        )
    return parsed(state_of(name).search["corpus"])


PROMOTE = console.help_text(
    "Verify the best checkpoint, register it, and judge it once on the test pairs.",
    "spksearch promote triplet",
    "spksearch promote triplet --trial t0007 --alias champion",
)


def promote(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The search.")],
    trial: Annotated[str | None, typer.Option(metavar="TRIAL", help="[default: the best].")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The registered model's name [default: spksearch-SPACE]."
        ),
    ] = None,
    alias: Annotated[str, typer.Option(metavar="NAME", help="Of the new version.")] = "candidate",
    json_wanted: Json = False,
) -> None:
    """Register a winner and evaluate it."""
    from search.promotion.promote import promote as promote_trial
    from search.promotion.promote import summary
    from search.reporting.terminal import for_stderr

    report = promote_trial(name, trial=trial, model=model, alias=alias, display=for_stderr())
    if json_wanted:
        console.data(document("promotion", **report.as_json()))
    else:
        console.answer(*summary(report))


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
    """Serve the MLflow UI."""
    from search.tracking.ui import serve

    serve(name, port=port, say=console.answer)
