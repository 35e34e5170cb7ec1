"""Options of `evaluate`, by what they are about."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from search.cli.options import require_page
from search.core.errors import UsageError

Backend = Literal["cosine", "crop_distance"]
Norm = Literal["none", "as_norm1", "as_norm2"]
Form = Literal["ours", "lab", "kaldi", "wespeaker"]


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


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Where a page of the evaluation is written, and with what beside it."""

    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the evaluation as one HTML file, too."),
    ] = None
    overlay: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Folder of another evaluation of the same pairs, to draw into the report; may be "
            "repeated.",
        ),
    ] = None
    png: Annotated[
        bool, typer.Option("--png", help="Also write the report's figures as PNGs beside it.")
    ] = False

    def __post_init__(self) -> None:
        if self.report is None and (self.overlay or self.png):
            raise UsageError("--overlay and --png belong to --report FILE")
        require_page(self.report, "--report")
