"""The verb `embed`: embeddings of recordings, in one file."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.models.model_options import A_MODEL, A_RECORDING, Device, ModelName
from search.cli.options import TrackingUri
from search.reporting import console

EMBED = console.help_text(
    "Embed recordings with a model, and write the embeddings to one file.",
    "spksearch embed runs/triplet/promoted/t0007-27 calls/ --out calls.npz",
    "spksearch embed models:/spksearch-triplet@champion a.wav b.m4a --out two.npz",
    "spksearch embed triplet/t0007 recordings.txt --out all.npz",
    more=f"{A_MODEL} FILES are audio files, folders, and lists (.txt, .lst, .list, .scp) with a "
    f"file on each line. {A_RECORDING} The archive has the arrays paths, embeddings (files, "
    "dimensions), model and sha256; numpy.load reads it.",
)


def embed(
    model: ModelName,
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="What to embed.")],
    out: Annotated[Path, typer.Option(metavar="FILE.npz", help="The archive to write.")],
    device: Device = "auto",
    tracking_uri: TrackingUri = None,
) -> None:
    """Embed recordings with a model, and write the embeddings to one file."""
    from search.inference.audio_files import find_audio_files
    from search.inference.embedding_file import require_archive, write_embeddings
    from search.inference.open_model import load_model
    from search.reporting.terminal import stderr_display

    # What can be refused at once is refused before torch is loaded.
    require_archive(out)
    found = find_audio_files(files)
    opened = load_model(model, device, tracking_uri)
    with stderr_display().task("embedding", "files") as progress:
        write_embeddings(opened, found, out, progress)
    console.print_result(
        f"{out}: {len(found)} embeddings of {opened.dimensions} numbers by {opened.source}"
    )
