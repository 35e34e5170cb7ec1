"""The verb `replay`: train entries of a notebook as a search, and test their claims."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.option_groups import expand_groups
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
    from search.notebook.claims import ClaimResult
    from search.notebook.replay import ReplayOutcome
    from search.notebook.replay_plan import ReplayPlan, ReplayRequest
    from search.notebook.replay_results import EntryResult

REPLAY = console.help_text(
    "Train entries of the log, or of your own notebook, as the trials of a search.",
    "spksearch replay 100-111 --corpus data/speech --scale small",
    "spksearch replay 101-106,116,122 --corpus data/speech",
    "spksearch replay --check --seeds 3 --corpus data/speech --scale small   # all claims",
    "spksearch replay 20,33 --check --seeds 3 --corpus data/speech --scale small",
    more="An entry that was retrained from another one starts from its weights; that entry is "
    "trained first. Every trial is trained to the last epoch. The same call again continues. "
    "--scale small is 1/4: a quarter of the widths, half the crops and the speakers a batch, "
    "schedules in proportion; the names of trials say so.",
)


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """The options of `replay`, in the order of its help."""

    corpus: Annotated[str, typer.Option(metavar="DIR|URI", help="The corpus.")]
    entries: Annotated[
        str,
        typer.Argument(metavar="ENTRIES", help="Numbers, such as 101-106,116.", show_default=False),
    ] = ""
    scale: Annotated[
        str, typer.Option(metavar="SCALE", help="full, small, 1/2, 1/4, 1/8 or 1/16.")
    ] = "full"
    check: Annotated[
        bool,
        typer.Option("--check", help="Test the log's claims about these entries, or about all."),
    ] = False
    seeds: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Seeds of each entry.")
    ] = 1
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own notebook [default: the log].")
    ] = None
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The search's name [default: its entries].")
    ] = None
    max_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Epochs of each trial [default: 6; at full scale the log's steps].",
        ),
    ] = None
    concurrent: Concurrent = None
    gpus_per_trial: GpusPerTrial = None
    cpus_per_trial: CpusPerTrial = None
    address: Address = None
    insecure: Insecure = False
    tracking_uri: TrackingUri = None
    dev_condition: DevCondition = None
    noise: Noise = None
    rooms: Rooms = None
    allow_overlap: AllowOverlap = False
    dry_run: DryRun = False
    json_wanted: Json = False


@expand_groups
def replay(options: ReplayOptions) -> None:
    """Train entries of a notebook as a search, and test what the log claims of them."""
    from search.notebook.replay import run_replay
    from search.reporting.terminal import stderr_display

    outcome = run_replay(_build_request(options), stderr_display())
    _print_outcome(outcome, options.json_wanted)


def _build_request(options: ReplayOptions) -> "ReplayRequest":
    from search.data import location
    from search.launch.settings import LaunchRequest
    from search.notebook.replay_plan import SPACE, ReplayRequest
    from spaces.logged.scale import parse_scale

    corpus = location.parse_location(options.corpus)
    return ReplayRequest(
        entries=options.entries,
        corpus=corpus,
        scale=parse_scale(options.scale),
        file=options.file,
        check=options.check,
        seeds=options.seeds,
        epochs=options.max_epochs,
        launch=LaunchRequest(
            space=SPACE,
            corpus=corpus,
            name=options.name,
            concurrent=options.concurrent,
            gpus_per_trial=options.gpus_per_trial,
            cpus_per_trial=options.cpus_per_trial,
            address=options.address,
            insecure=options.insecure,
            tracking_uri=options.tracking_uri,
            dev_condition=options.dev_condition,
            noise=options.noise,
            rooms=options.rooms,
            allow_overlap=options.allow_overlap,
            dry_run=options.dry_run,
        ),
    )


def _print_outcome(outcome: "ReplayOutcome", json_wanted: bool) -> None:
    from search.notebook.replay_results import collect_results, evaluate_claims

    plan, state = outcome.plan, outcome.state
    if state is None:
        console.print_result(
            *outcome.description, "nothing was started or written; leave out --dry-run to run"
        )
        return
    results, claims = collect_results(plan, state), evaluate_claims(plan, state)
    _print_results(plan, results, claims, json_wanted)
    if state.finish is not None and not state.ranked():
        reasons = "; ".join(f"{each.entry.number}: {each.reason}" for each in results[:3])
        raise NoUsableTrial(f"replay {plan.name} ended and no entry has a dev EER ({reasons})")


def _print_results(
    plan: "ReplayPlan", results: "list[EntryResult]", claims: "list[ClaimResult]", json_wanted: bool
) -> None:
    from search.notebook import replay_pages as pages
    from search.reporting.documents import document

    if json_wanted:
        console.print_json(
            document(
                "replay",
                name=plan.name,
                notebook=plan.notebook.name,
                scale=plan.scale.text,
                results=[pages.result_document(each) for each in results],
                claims=[pages.claim_document(each) for each in claims],
            )
        )
        return
    console.print_result(pages.scale_line(plan), pages.result_table(plan, results))
    if claims:
        console.print_result("", pages.claim_table(claims), "", pages.verdict_line(claims))
    console.print_result(
        "", f"next    spksearch ui {plan.name}", f"        spksearch trials {plan.name}"
    )
