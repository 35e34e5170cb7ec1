"""The verb `verify`: whether recordings are of one speaker."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.models.model_options import A_MODEL, A_RECORDING, Device, ModelName, Threshold
from search.cli.options import Json, TrackingUri
from search.core.errors import GateNotMet, UsageError
from search.reporting import console

VERIFY = console.help_text(
    "Tell whether recordings are of one speaker. Exit code 0: the same; 5: different.",
    "spksearch verify runs/triplet/promoted/t0007-27 enrolled.wav caller.m4a",
    "spksearch verify models:/spksearch-triplet@champion one.wav two.wav three.wav caller.wav",
    "spksearch verify triplet/t0007 a.wav b.wav --threshold 0.4 --json",
    more=f"The last recording is compared with those before it, which are of one known speaker. "
    f"{A_MODEL} {A_RECORDING}",
)


def verify(
    model: ModelName,
    recordings: Annotated[
        list[Path],
        typer.Argument(metavar="ENROLLED... RECORDING", help="Two recordings or more."),
    ],
    threshold: Threshold = None,
    device: Device = "auto",
    tracking_uri: TrackingUri = None,
    json_wanted: Json = False,
) -> None:
    """Tell whether recordings are of one speaker."""
    if len(recordings) < 2:
        raise UsageError("verify compares two recordings or more, got one")
    from search.inference.open_model import load_model

    found = load_model(model, device, tracking_uri).verify(
        recordings[:-1], recordings[-1], threshold
    )
    decision = "same speaker" if found.same_speaker else "different speakers"
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(
            document(
                "verification",
                score=found.score,
                threshold=found.threshold,
                same_speaker=found.same_speaker,
            )
        )
    else:
        console.print_result(
            f"{decision}: score {found.score:.4f}, threshold {found.threshold:.4f}"
        )
    if not found.same_speaker:
        raise typer.Exit(GateNotMet.exit_code)
