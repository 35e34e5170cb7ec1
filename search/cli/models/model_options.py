"""Options and arguments that commands on a model share."""

from typing import Annotated

import typer

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="The model.")]
Device = Annotated[
    str, typer.Option(metavar="DEVICE", help="cpu, cuda, or auto for a GPU where there is one.")
]
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="SCORE",
        help="The same speaker from this score on [default: as promote chose on the dev pairs].",
    ),
]
A_MODEL = (
    "MODEL is the folder of a promoted model, models:/NAME@ALIAS or models:/NAME/VERSION, "
    "SEARCH/TRIAL, the folder of a checkpoint, or a file that voxceleb_trainer saved."
)
A_RECORDING = (
    "Audio of any form is taken: WAV, FLAC, m4a, mp3, Opus and others, of any rate and number of "
    "channels."
)
