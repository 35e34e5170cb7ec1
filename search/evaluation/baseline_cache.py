"""Keep the results of the baselines beside the store: they are the same for every model.

One file for each list of pairs in each condition, in the folder `baselines` of the store that the
baselines were trained on. Its name is the hash of all that decides the results: stores (which stand
for the corpus and its seed), pairs, condition, noise and rooms, and the version of the baselines.
"""

import hashlib
import io
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from search.core.atomic_folder import replace_file
from search.core.errors import EnvironmentSetupError
from search.core.progress import Display
from search.evaluation.pair_list import PairList
from spkmodel.core.condition_names import SOMEWHERE

if TYPE_CHECKING:
    from spkmodel.augment.conditions import Condition
    from spkmodel.data.store import Store
    from spkmodel.verification.baselines import Baseline

FOLDER = "baselines"
MOST_FILES = 16
"""Of a store; the ones that were used longest ago are removed."""


@dataclass(frozen=True)
class Recordings:
    """The folders of ambiences and of room responses; None for those that are built in."""

    noise: Path | None
    rooms: Path | None

    def fingerprint(self) -> str:
        """Return 16 hex digits of their contents."""
        from spkmodel.augment.noise_and_rooms import fingerprint

        return fingerprint(self.noise, self.rooms)


def find_or_compute(
    store: "Store",
    conditioned: "Store",
    pairs: PairList,
    condition: "Condition",
    recordings: Recordings,
    display: Display,
) -> "tuple[Baseline, ...]":
    """Return the results of the baselines, computed at most once.

    A file that cannot be read, or a folder that cannot be written, costs a computation and is told.

    Args:
        store: of the corpus, whose training utterances the baselines learn from.
        conditioned: has the utterances of the pairs in the condition.
        pairs: what is scored.
        condition: of both sides.
        recordings: that the condition uses.
        display: shows the progress, and what went wrong with the file.
    """
    from spkmodel.verification import baselines

    marks = {
        "version": baselines.VERSION,
        "store": store.sha256,
        "conditioned": conditioned.sha256,
        "pairs": pairs.sha256,
        "condition": condition,
        "noise_and_rooms": recordings.fingerprint() if condition in SOMEWHERE else "",
    }
    name = hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()[:32]
    path = store.folder / FOLDER / f"{name}.npz"
    if path.exists():
        try:
            return _read(path, len(pairs.pairs))
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            display.print_line(f"{path} cannot be used ({error}); the floors are computed again")
    with display.task(f"floors, {condition}", "utterances") as progress:
        found = tuple(
            baselines.compute_baselines(
                store,
                conditioned,
                pairs.pairs,
                condition,
                recordings.noise,
                recordings.rooms,
                progress=progress,
            )
        )
    try:
        _write(path, found)
    except (OSError, EnvironmentSetupError) as error:
        display.print_line(f"the floors are not kept for the next time: {error}")
    return found


def _read(path: Path, pairs: int) -> "tuple[Baseline, ...]":
    """Read what `_write` wrote.

    Raises:
        OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile: for anything else.
    """
    from spkmodel.verification.baselines import Baseline

    # Read at once: of a damaged file NumPy leaves the file open.
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
        scores, about = arrays["scores"], json.loads(str(arrays["about"]))
    if scores.dtype != np.float64 or scores.shape != (len(about), pairs):
        raise ValueError(f"scores of shape {scores.shape} for {len(about)} x {pairs} numbers")
    found = tuple(Baseline(**each, scores=row) for each, row in zip(about, scores, strict=True))
    path.touch()
    return found


def _write(path: Path, found: "tuple[Baseline, ...]") -> None:
    if not found:
        return
    about = [
        {each.name: getattr(one, each.name) for each in fields(one) if each.name != "scores"}
        for one in found
    ]
    content = io.BytesIO()
    np.savez(content, scores=np.stack([one.scores for one in found]), about=json.dumps(about))
    path.parent.mkdir(exist_ok=True)
    replace_file(path, content.getvalue())
    files = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in files[MOST_FILES:]:
        old.unlink(missing_ok=True)
