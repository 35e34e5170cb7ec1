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
    "and the columns of speakers.tsv (speaker and more, parted by tabs) and utterances.tsv (path "
    "and more) in the corpus. Another way of scoring the test pairs is another look at them.",
)


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How utterances are cropped, and how pairs are scored."""

    crops: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=100, help="Of each utterance, evenly spaced; 0: the whole."
        ),
    ] = 0
    crop_seconds: Annotated[
        float | None,
        typer.Option(metavar="T", help="Of each crop."),
    ] = None
    eval_frames: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of each crop, in voxceleb_trainer's frames: N x 160 + 240 samples [default: 400, "
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
            help="Each side's scores measured by its own nearest strangers (as_norm1), or by the "
            "other side's (as_norm2)."
        ),
    ] = "none"
    cohort: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The strangers, an utterance a line [default: means of the training list's "
            "speakers].",
        ),
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=2, help="How many are nearest [default: 300, or all of fewer]."
        ),
    ] = None
    subtract_mean: Annotated[
        bool,
        typer.Option(
            "--subtract-mean", help="The training list's mean embedding, from every embedding."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions:
    """What is worked out from the scores beside the EER."""

    calibrate_on: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Pairs of other speakers that teach what a score is worth."
        ),
    ] = None
    prior: Annotated[
        float | None,
        typer.Option(metavar="P", help="Of a target, when calibrating [default: 0.5]."),
    ] = None
    by: Annotated[
        str,
        typer.Option(
            metavar="COLUMNS",
            help="Figures by group or bin: gender,duration:1.5/3; numbers without edges in thirds.",
        ),
    ] = ""
    worst: Annotated[
        int, typer.Option(metavar="N", min=0, help="Name the speakers that fare worst.")
    ] = 0
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Another system's scores of these pairs, in any of the forms."
        ),
    ] = None
    score_format: Annotated[
        Form, typer.Option(help="A second file of scores, as another tool writes it.")
    ] = "ours"
    exact_scores: Annotated[
        bool,
        typer.Option(
            "--exact-scores", help="Every digit in it, where that tool keeps 4 or 5 decimals."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class ForeignModelOptions:
    """How a file that voxceleb_trainer saved is read, where the file does not tell."""

    log_input: Annotated[
        bool | None,
        typer.Option(
            "--log-input/--no-log-input",
            help="Whether a voxceleb_trainer file was trained on log mels [default: it was].",
        ),
    ] = None
    int16_scale: Annotated[
        bool | None,
        typer.Option(
            "--int16-scale/--no-int16-scale",
            help="Whether it was trained on samples of +-32768, as before 2021-04-24 [default: by "
            "what the file tells].",
        ),
    ] = None
    vggvox_pooling: Annotated[
        Literal["mean", "max"] | None,
        typer.Option(help="Of a VGGVox whose encoder_type was TAP or MAX."),
    ] = None
    sinc_stride: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=64, help="Of a RawNet3 [default: 10].")
    ] = None


@expand_groups
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    corpus: Annotated[str, typer.Option(metavar="DIR|URI", help="Where the utterances are.")],
    pairs: Annotated[Path, typer.Option(metavar="FILE", help="A list of pairs.")],
    condition: Annotated[Condition, typer.Option(help="How the pairs sound.")] = "clean",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where report, plots and scores go.")
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
