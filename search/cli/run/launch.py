"""The verb `launch`: start a search, resume it, extend it, or hand it to the background."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.option_groups import expand_groups
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
    KeepCheckpoints,
    Noise,
    Rooms,
    TrackingUri,
)
from search.core.errors import UsageError
from search.data.location import parse_location
from search.reporting import console

if TYPE_CHECKING:
    from search.launch.settings import LaunchRequest

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
    "run. The first trial is the default configuration, what one would train without a search; it "
    "counts in --trials. --warm-start uses known results: the best and most different points of "
    "the log or of an earlier search are tried first, and all of them guide the sampler, less and "
    "less as the search's own trials end. Points outside the space are skipped and reported. With "
    "two --objectives a small encoder counts beside a low EER; trials --pareto shows the front.",
)


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """The options of `launch`, in the order of its help."""

    space: Annotated[str, typer.Argument(metavar="SPACE", help="A space's name or path.")]
    corpus: Annotated[
        str | None,
        typer.Option(metavar="DIR|URI", help="The corpus; a resumed search knows its own."),
    ] = None
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The search's name [default: the space's].")
    ] = None
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Trials to run [default: 24].")
    ] = None
    hours: Annotated[
        float | None, typer.Option(metavar="HOURS", min=0.0, help="Hours to spend.")
    ] = None
    max_epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Epochs of one trial [default: 9].")
    ] = None
    eta: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help="Of the trials at a rung, one in N goes on [default: 3].",
        ),
    ] = None
    rungs: Annotated[
        str | None,
        typer.Option(
            metavar="EPOCHS",
            help="Epochs at which trials are compared, like 2,9,27; the last ends a trial "
            "[default: 1, then times --eta, up to --max-epochs].",
        ),
    ] = None
    max_failed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="End the search when more than N trials have failed [default: never].",
        ),
    ] = None
    finalists: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Least number of trials trained to the last epoch [default: 1].",
        ),
    ] = None
    keep_checkpoints: KeepCheckpoints = None
    disk_gb: DiskGb = None
    concurrent: Concurrent = None
    gpus_per_trial: GpusPerTrial = None
    cpus_per_trial: CpusPerTrial = None
    address: Address = None
    insecure: Insecure = False
    tracking_uri: TrackingUri = None
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Seed of the sampler, and of drawing dev speakers where there is no dev list.",
        ),
    ] = None
    dev_condition: DevCondition = None
    rule: Annotated[
        Literal["promotion", "stopping"] | None,
        typer.Option(help="How trials are stopped early [default: promotion]."),
    ] = None
    strategy: Annotated[
        Literal["tpe", "early_tpe", "random"] | None,
        typer.Option(
            help="How configs are suggested: by a model of the results after two epochs and more, "
            "of those after one epoch too (early_tpe), or at random [default: tpe]."
        ),
    ] = None
    objectives: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="What to minimise: dev_eer, or dev_eer,encoder_parameters [default: dev_eer].",
        ),
    ] = None
    warm_start: Annotated[
        str | None,
        typer.Option(
            metavar="logged|SEARCH",
            help="Start from the results of the log, or of an earlier search.",
        ),
    ] = None
    warm_start_trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Points of --warm-start tried first [default: 5, or a third of --trials if less].",
        ),
    ] = None
    default_trial: Annotated[
        bool | None,
        typer.Option(
            "--default-trial/--no-default-trial",
            help="Whether the first trial is the default configuration [default: it is].",
        ),
    ] = None
    noise: Noise = None
    rooms: Rooms = None
    allow_overlap: AllowOverlap = False
    dry_run: DryRun = False
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", help="Run in the background; with --address as a job of the cluster."
        ),
    ] = False


@expand_groups
def launch(options: LaunchOptions) -> None:
    """Start a search, or go on with it."""
    request = _build_request(options)
    _refuse_early(request)
    if options.detach:
        _launch_in_background(request)
        return
    from search.launch.launch import launch as launch_search
    from search.reporting.terminal import stderr_display

    if not options.dry_run and _is_in_terminal_over_ssh():
        console.print_note(
            "this terminal came over ssh: when it closes, the search saves and stops; --detach, or "
            "a terminal in tmux, lets it go on"
        )
    outcome = launch_search(request, stderr_display())
    console.print_result(*outcome.lines)
    if outcome.problem is not None:
        raise outcome.problem


def _is_in_terminal_over_ssh() -> bool:
    is_remote = any(os.environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY"))
    # In tmux or screen, and under nohup, a closed connection ends nothing.
    is_kept = any(os.environ.get(name) for name in ("TMUX", "STY"))
    ignores_hangups = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return is_remote and not is_kept and not ignores_hangups and sys.stderr.isatty()


def _refuse_early(request: "LaunchRequest") -> None:
    """Refuse what this machine has not got before torch is imported, which takes seconds."""
    from search.launch.resources import require_asked_resources
    from search.launch.settings import read_settings

    require_asked_resources(request, read_settings(request.name or Path(request.space).stem))


def _build_request(options: LaunchOptions) -> "LaunchRequest":
    from search.launch.rungs import parse_rungs
    from search.launch.settings import LaunchRequest, objectives

    name = options.name or Path(options.space).stem
    return LaunchRequest(
        space=options.space,
        corpus=parse_location(options.corpus) if options.corpus else _recorded_corpus(name),
        name=options.name,
        trials=options.trials,
        hours=options.hours,
        max_failed=options.max_failed,
        max_epochs=options.max_epochs,
        eta=options.eta,
        rungs=None if options.rungs is None else parse_rungs(options.rungs),
        finalists=options.finalists,
        keep_checkpoints=options.keep_checkpoints,
        disk_gb=options.disk_gb,
        concurrent=options.concurrent,
        cpus_per_trial=options.cpus_per_trial,
        gpus_per_trial=options.gpus_per_trial,
        address=options.address,
        insecure=options.insecure,
        tracking_uri=options.tracking_uri,
        seed=options.seed,
        dev_condition=options.dev_condition,
        rule=options.rule,
        strategy=options.strategy,
        objectives=None if options.objectives is None else objectives(options.objectives),
        warm_start=options.warm_start,
        warm_start_trials=options.warm_start_trials,
        default_trial=options.default_trial,
        noise=options.noise,
        rooms=options.rooms,
        allow_overlap=options.allow_overlap,
        dry_run=options.dry_run,
    )


def _launch_in_background(request: "LaunchRequest") -> None:
    from search.launch import background
    from search.requests.messages import who

    launched = background.launch(request, who())
    name = request.name or Path(request.space).stem
    console.print_result(
        f"search {name} is launched in the background: {launched.description}",
        *(f"  spksearch {line} {name}" for line in ("status", "logs", "wait", "stop")),
    )


def _recorded_corpus(name: str) -> Path | str:
    """Return the corpus that the search of this name was launched on.

    Raises:
        UsageError: there is no such search.
    """
    from search.core.paths import ledger_path
    from search.launch.open_search import read_state

    if not ledger_path(name).is_file():
        raise UsageError(
            f"a new search needs a corpus: spksearch launch ... --corpus DIR (there is no search "
            f"{name!r} to go on with)"
        )
    return parse_location(read_state(name).search.corpus)
