"""The verb `evaluate`: score a list of pairs with a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.option_groups import expand_groups
from search.cli.options import Json, Noise, Rooms
from search.reporting import console
from spkmodel.core.condition_names import Condition

if TYPE_CHECKING:
    from search.evaluation.analysis import AnalysisRequest
    from search.evaluation.protocol import Protocol
    from search.models.foreign.architecture import Reading

Backend = Literal["cosine", "crop_distance"]
Norm = Literal["none", "as_norm1", "as_norm2"]
Form = Literal["ours", "lab", "kaldi", "wespeaker"]

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
    "spksearch evaluate baseline_lite_ap.model --corpus vox --pairs veri_test.txt \\\n"
    "      --crops 10 --backend crop_distance",
    more="MODEL is models:/NAME@ALIAS or models:/NAME/VERSION, SEARCH/TRIAL, the folder of a "
    "promoted model or of a checkpoint, or a file that voxceleb_trainer saved. --by takes duration "
    "and the columns of speakers.tsv (speaker and other columns, separated by tabs) and "
    "utterances.tsv (path and other columns) in the corpus. Each evaluation of the test pairs "
    "is counted in the ledger, whatever the way of scoring.",
)


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How utterances are cropped, and how pairs are scored."""

    crops: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=100,
            help="Crops of each utterance, evenly spaced; 0: the whole utterance.",
        ),
    ] = 0
    crop_seconds: Annotated[
        float | None,
        typer.Option(metavar="T", help="Length of each crop in seconds."),
    ] = None
    eval_frames: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Length of each crop in voxceleb_trainer's frames: N x 160 + 240 samples "
            "[default: 400, "
            "where there are crops and no --crop-seconds].",
        ),
    ] = None
    backend: Annotated[
        Backend,
        typer.Option(
            help="Cosine of mean embeddings, or minus the mean distance of all pairs of crops."
        ),
    ] = "cosine"
    norm: Annotated[
        Norm,
        typer.Option(
            help="Adaptive score normalisation: each side by its own nearest cohort members "
            "(as_norm1), or by the "
            "other side's (as_norm2)."
        ),
    ] = "none"
    cohort: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The cohort, one utterance a line [default: means of the training list's "
            "speakers].",
        ),
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help="Cohort members that count as nearest [default: 300, or all of fewer].",
        ),
    ] = None
    subtract_mean: Annotated[
        bool,
        typer.Option(
            "--subtract-mean",
            help="Subtract the mean embedding of the training list from every embedding.",
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions:
    """What is worked out from the scores beside the EER."""

    calibrate_on: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Pairs of other speakers, to calibrate scores as log-likelihood ratios.",
        ),
    ] = None
    prior: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="Prior probability of a target in calibration [default: 0.5]."
        ),
    ] = None
    by: Annotated[
        str,
        typer.Option(
            metavar="COLUMNS",
            help="Figures by group or bin: gender,duration:1.5/3; numbers without edges in thirds.",
        ),
    ] = ""
    worst: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Name the N speakers with the highest error rates."),
    ] = 0
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Compare with another system's score file of the same pairs."
        ),
    ] = None
    score_format: Annotated[
        Form, typer.Option(help="Also write the scores in the form of another tool.")
    ] = "ours"
    exact_scores: Annotated[
        bool,
        typer.Option(
            "--exact-scores", help="Write every digit, where that tool writes 4 or 5 decimals."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class ForeignModelOptions:
    """How a file that voxceleb_trainer saved is read, where the file does not tell."""

    log_input: Annotated[
        bool | None,
        typer.Option(
            "--log-input/--no-log-input",
            help="Whether a voxceleb_trainer model was trained on log mels [default: yes].",
        ),
    ] = None
    int16_scale: Annotated[
        bool | None,
        typer.Option(
            "--int16-scale/--no-int16-scale",
            help="Whether it was trained on samples of +-32768, as before 2021-04-24 [default: "
            "as the file says].",
        ),
    ] = None
    vggvox_pooling: Annotated[
        Literal["mean", "max"] | None,
        typer.Option(help="Pooling of a VGGVox whose encoder_type was TAP or MAX."),
    ] = None
    sinc_stride: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=64, help="Stride of the first layer of a RawNet3 [default: 10]."
        ),
    ] = None


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
    json_wanted: Json = False,
) -> None:
    """Score a list of pairs with a model, and print its EER and what else was asked for."""
    from search.data.location import parse_location
    from search.evaluation.evaluate import evaluate as evaluate_model
    from search.evaluation.evaluate import format_summary
    from search.reporting.terminal import stderr_display

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
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("evaluation", folder=str(report.folder), **report.document))
    else:
        console.print_result(*format_summary(report))


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
