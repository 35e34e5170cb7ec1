"""The verb `identify`: who of the enrolled speakers speaks in a recording."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.models.model_options import A_MODEL, A_RECORDING, Device, ModelName, Threshold
from search.cli.options import Json, TrackingUri
from search.core.errors import GateNotMet
from search.reporting import console

IDENTIFY = console.help_text(
    "Find the speaker of a recording among enrolled ones. Exit code 5: nobody of them.",
    "spksearch identify runs/triplet/promoted/t0007-27 enrolled/ caller.wav",
    "spksearch identify triplet/t0007 enrolled/ caller.wav --threshold 0.4 --top 10",
    more="ENROLLED has a folder for each speaker, named by the speaker, with recordings in it; the "
    f"mean of their embeddings stands for the speaker. {A_MODEL} {A_RECORDING}",
)


def identify(
    model: ModelName,
    enrolled: Annotated[Path, typer.Argument(metavar="ENROLLED", help="Folder of speakers.")],
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="Who is it?")],
    threshold: Threshold = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Speakers to print.")] = 5,
    device: Device = "auto",
    tracking_uri: TrackingUri = None,
    json_wanted: Json = False,
) -> None:
    """Find the speaker of a recording among enrolled ones."""
    from search.inference.identification import EnrolledSpeakers
    from search.inference.identification import identify as identify_speaker
    from search.inference.open_model import load_model

    opened = load_model(model, device, tracking_uri)
    opened.require_threshold(threshold)
    speakers = EnrolledSpeakers.from_folder(opened, enrolled)
    found = identify_speaker(opened, speakers, recording, threshold)
    if json_wanted:
        from search.reporting.documents import document

        ranking = [{"speaker": name, "score": score} for name, score in found.ranking[:top]]
        console.print_json(
            document(
                "identification",
                speaker=found.speaker,
                threshold=found.threshold,
                ranking=ranking,
            )
        )
    else:
        console.print_result(*_describe(found.speaker, found.threshold, found.ranking[:top]))
    if found.speaker is None:
        raise typer.Exit(GateNotMet.exit_code)


def _describe(
    speaker: str | None, threshold: float, ranking: tuple[tuple[str, float], ...]
) -> list[str]:
    verdict = "nobody who is enrolled" if speaker is None else speaker
    rows = [f"  {score:8.4f}  {name}" for name, score in ranking]
    return [f"{verdict} (threshold {threshold:.4f})", *rows]
