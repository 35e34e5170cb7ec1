"""Write the embeddings of many files as one NumPy archive."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search.core.errors import EnvironmentSetupError, UsageError
from search.inference.speaker_model import SpeakerModel
from spkmodel.core.progress import Progress
from spkmodel.core.temporary import temporary_beside


def require_archive(out: Path) -> None:
    """Raise UsageError unless `out` names an archive of NumPy's."""
    if out.suffix != ".npz" or out.is_dir():
        raise UsageError(f"--out must name a file that ends in .npz, got {out}")


def write_embeddings(
    model: SpeakerModel, files: Sequence[Path], out: Path, progress: Progress
) -> None:
    """Embed files, and write `out` once all of it is there.

    The archive has `paths` (n,), as text; `embeddings` (n, dimensions), float32; `model`, its name;
    and `sha256`, of its weights. It is read with `numpy.load(out)`; nothing in it is pickled.

    Raises:
        UsageError: a file cannot be used, or `out` is a folder or not .npz.
        EnvironmentSetupError: `out` cannot be written.
    """
    require_archive(out)
    embeddings = np.empty((len(files), model.dimensions), dtype=np.float32)
    done = 0
    for chunk, found in model.stream_files(files):
        embeddings[done : done + len(chunk)] = found
        done += len(chunk)
        progress(done, len(files))
    beside = temporary_beside(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            np.savez(
                file,
                paths=np.array([str(path) for path in files]),
                embeddings=embeddings,
                model=np.array(model.source),
                sha256=np.array(model.model.sha256),
            )
        beside.replace(out)
    except OSError as error:
        raise EnvironmentSetupError(f"{out} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
