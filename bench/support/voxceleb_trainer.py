"""Time voxceleb_trainer's own evaluation on crops that are embedded already.

Its `evaluateFromList` runs as it stands, from a clone of it: the network gives back drawn
embeddings, and the clock runs from its loop over the pairs on, so that only scoring is measured.
"""

import importlib
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from spkmodel.data.lists import Pair


class _Network:
    """Returns the drawn crops of the utterance whose place it is given as its waveform."""

    def __init__(self, crops: Sequence[Tensor]) -> None:
        self._crops = crops
        self.module = SimpleNamespace(__L__=SimpleNamespace(test_normalize=True))

    def eval(self) -> None:
        """Change nothing: there is nothing that differs in training."""

    def __call__(self, place: Tensor) -> Tensor:
        return self._crops[int(place)]


class Peer:
    """The evaluation of a clone of voxceleb_trainer."""

    def __init__(self, clone: Path) -> None:
        if not (clone / "SpeakerNet.py").is_file():
            raise SystemExit(f"--peer {clone}: no SpeakerNet.py there; name a clone of it")
        sys.path.insert(0, str(clone))
        self._module = importlib.import_module("SpeakerNet")

    def score_seconds(
        self, crops: Mapping[str, Tensor], pairs: Sequence[Pair]
    ) -> tuple[float, list[float]]:
        """Return the processor time of its loop over the pairs, and its scores."""
        places = {name: place for place, name in enumerate(crops)}
        trainer: Any = object.__new__(self._module.ModelTrainer)
        vars(trainer).update(__model__=_Network(list(crops.values())), device="cpu")
        count = len(next(iter(crops.values())))
        began = 0.0

        @contextmanager
        def without_bar(items: Iterable[Any], desc: str, **_: object) -> Iterator[Iterable[Any]]:
            nonlocal began
            if desc == "Scoring":
                began = time.process_time()
            yield items

        def drawn(names: Sequence[str], *_: object, **__: object) -> list[tuple[Tensor, str]]:
            return [(torch.tensor([places[name]]), name) for name in names]

        vars(self._module).update(tqdm=without_bar, test_dataset_loader=drawn)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as written:
            written.writelines(f"{int(p.target)} {p.enrolment} {p.test}\n" for p in pairs)
            written.flush()
            scores, _, _ = trainer.evaluateFromList(written.name, "", 0, False, num_eval=count)
        return time.process_time() - began, [float(score) for score in scores]
