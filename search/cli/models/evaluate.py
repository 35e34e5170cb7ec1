"""The verb `evaluate`: score a list of pairs with a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.models.evaluation_options import (
    AnalysisOptions,
    ForeignModelOptions,
    ReportOptions,
    ScoringOptions,
)
from search.cli.option_groups import expand_groups
from search.cli.options import Json, Noise, Rooms
from search.reporting import console
from spkmodel.core.condition_names import Condition

if TYPE_CHECKING:
    from search.evaluation.analysis import AnalysisRequest
    from search.evaluation.evaluate import EvaluationReport
    from search.evaluation.protocol import Protocol
    from search.models.foreign.architecture import Reading
    from search.reports.scored_model import ScoredModel

EVALUATE = console.help_text(
    "Score a list of pairs with a model, and report its EER with its interval.",
    "spksearch evaluate models:/spksearch-triplet@candidate --corpus data --pairs test_trials.txt",
    "spksearch evaluate triplet/t0007 --corpus data --pairs pairs.txt --condition mismatched",
    "spksearch evaluate triplet/t0007 --corpus data --pairs pairs.txt \\\n"
    "      --by gender,duration:1.5/3 --worst 10",
    "spksearch evaluate triplet/t0007 --corpus data --pairs test_trials.txt \\\n"
    "      --norm as_norm1 --subtract-mean --calibrate-on valid_trials.txt",
    "spksearch evaluate triplet/t0007 --corpus data --pairs test_trials.txt \\\n"
    "      --crops 10 --backend crop_distance --score-format lab    # as voxceleb_trainer does",
    "spksearch evaluate triplet/t0007 --corpus data --pairs pairs.txt --report pairs.html",
    "spksearch evaluate baseline_lite_ap.model --corpus vox --pairs veri_test.txt \\\n"
    "      --crops 10 --backend crop_distance",
    more="MODEL is models:/NAME@ALIAS or models:/NAME/VERSION, SEARCH/TRIAL, the folder of a "
    "promoted model or of a checkpoint, or a file that voxceleb_trainer saved. --by takes duration "
    "and the columns of speakers.tsv (speaker and other columns, separated by tabs) and "
    "utterances.tsv (path and other columns) in the corpus. Each evaluation of the test pairs "
    "is counted in the ledger, whatever the way of scoring.",
)


@expand_groups
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    corpus: Annotated[str, typer.Option(metavar="DIR|URI", help="Where the utterances are.")],
    pairs: Annotated[Path, typer.Option(metavar="FILE", help="A list of pairs.")],
    condition: Annotated[
        Condition, typer.Option(help="Condition that the utterances are put into.")
    ] = "clean",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the report, plots and scores.")
    ] = None,
    *,
    scoring: ScoringOptions,
    analysis: AnalysisOptions,
    noise: Noise = None,
    rooms: Rooms = None,
    foreign: ForeignModelOptions,
    page: ReportOptions,
    json_wanted: Json = False,
) -> None:
    """Score a list of pairs with a model, and print its EER and what else was asked for."""
    from search.data.location import parse_location
    from search.evaluation.evaluate import evaluate as evaluate_model
    from search.evaluation.evaluate import format_summary
    from search.reporting.terminal import stderr_display

    others = _read_overlays(page)
    report = evaluate_model(
        model,
        corpus=parse_location(corpus),
        pairs=pairs,
        condition=condition,
        out=out,
        protocol=_build_protocol(scoring),
        analysis=_build_analysis(analysis),
        noise=noise,
        rooms=rooms,
        reading=_build_reading(foreign),
        display=stderr_display(),
    )
    if page.report is not None:
        _write_page(page, report, others)
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("evaluation", folder=str(report.folder), **report.document))
    else:
        console.print_result(*format_summary(report))


def _read_overlays(options: ReportOptions) -> "list[ScoredModel]":
    """Read the evaluations to draw beside, before anything is embedded."""
    if not options.overlay:
        return []
    from search.reports.scored_model import read_folder

    return [model for folder in options.overlay for model in read_folder(folder)]


def _write_page(
    options: ReportOptions, report: "EvaluationReport", others: "list[ScoredModel]"
) -> None:
    from search.reports.evaluation_report import write_models
    from search.reports.scored_model import from_evaluation

    assert options.report is not None
    written = write_models([from_evaluation(report), *others], options.report, pngs=options.png)
    console.print_note(f"page: {written}")


def _build_protocol(options: ScoringOptions) -> "Protocol":
    from search.evaluation.protocol import Protocol

    return Protocol(
        crops=options.crops,
        crop_seconds=options.crop_seconds,
        eval_frames=options.eval_frames,
        backend=options.backend,
        norm=options.norm,
        cohort=options.cohort,
        top=options.top,
        subtract_mean=options.subtract_mean,
    )


def _build_analysis(options: AnalysisOptions) -> "AnalysisRequest":
    from search.evaluation.analysis import AnalysisRequest

    return AnalysisRequest(
        calibrate_on=options.calibrate_on,
        prior=options.prior,
        by=options.by,
        worst=options.worst,
        against=options.against,
        score_format=options.score_format,
        exact_scores=options.exact_scores,
    )


def _build_reading(options: ForeignModelOptions) -> "Reading | None":
    """Return how to read a foreign file; None if no option was given."""
    if options == ForeignModelOptions():
        return None
    from search.models.foreign.architecture import Reading

    default = Reading()
    return Reading(
        default.log_input if options.log_input is None else options.log_input,
        options.int16_scale,
        options.vggvox_pooling,
        default.sinc_stride if options.sinc_stride is None else options.sinc_stride,
    )
