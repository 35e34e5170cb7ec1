"""Say how utterances are embedded and pairs scored: all that scores depend on besides the model."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from search.core.errors import UsageError

if TYPE_CHECKING:
    from spkmodel.data.crops import Crops
    from spkmodel.verification.score_norm import Selection

Backend = Literal["cosine", "crop_distance"]
Norm = Literal["none", "as_norm1", "as_norm2"]

EVAL_FRAMES = 400
"""The length of a crop where none is given, as in voxceleb_trainer: 4.015 s."""
TOP = 300
"""Members of the cohort that count by default, or all of a smaller one."""


@dataclass(frozen=True)
class Protocol:
    """How pairs are scored; the default is what every trial scores its dev pairs by.

    Raises:
        UsageError: for a flag that means nothing without another.
    """

    crops: int = 0
    """How many crops of each utterance are embedded; 0: the whole utterance."""
    crop_seconds: float | None = None
    """The length of a crop; None: by `eval_frames`."""
    eval_frames: int | None = None
    """The length of a crop in voxceleb_trainer's frames; None: 400, unless in seconds."""
    backend: Backend = "cosine"
    norm: Norm = "none"
    cohort: Path | None = None
    """A list of utterances; None: the speakers of the training list, each as one mean embedding."""
    top: int | None = None
    """None: 300, or all of a smaller cohort."""
    subtract_mean: bool = False

    def __post_init__(self) -> None:
        for flag, given in (
            ("--crop-seconds", self.crop_seconds),
            ("--eval-frames", self.eval_frames),
        ):
            if given is not None and not self.crops:
                raise UsageError(
                    f"{flag} says how long each of --crops N is; give both, or neither for whole "
                    "utterances"
                )
        if self.crop_seconds is not None and self.eval_frames is not None:
            raise UsageError(
                "--crop-seconds and --eval-frames both give the length of a crop; give one"
            )
        if self.norm == "none" and (self.cohort is not None or self.top is not None):
            raise UsageError("--cohort and --top belong to --norm as_norm1 or as_norm2")
        # A cohort is compared with one embedding a side; crop_distance has one for each crop.
        if self.norm != "none" and self.backend != "cosine":
            raise UsageError(f"--norm {self.norm} takes --backend cosine, got {self.backend}")
        if self.top is not None and self.top < 2:
            raise UsageError(f"--top must be at least 2, got {self.top}")

    @property
    def frames(self) -> int | None:
        """The length of a crop in voxceleb_trainer's frames; None if it is given in seconds."""
        return None if self.crop_seconds is not None else self.eval_frames or EVAL_FRAMES

    def make_crops(self) -> "Crops | None":
        """Return which crops of an utterance are embedded; None for the whole utterance.

        Raises:
            ValueError: for a number or length of crops out of range.
        """
        from spkmodel.data.crops import Crops

        if not self.crops:
            return None
        if self.frames is not None:
            return Crops.from_frames(self.crops, self.frames)
        assert self.crop_seconds is not None
        return Crops.from_seconds(self.crops, self.crop_seconds)

    def selection(self) -> "Selection":
        """Return which part of the cohort normalises a side: its own nearest, or the other's."""
        return "cross" if self.norm == "as_norm2" else "own"

    def facts(self) -> dict[str, Any]:
        """Return the fields for a report; two protocols are the same if these are equal."""
        crops = self.make_crops()
        return {
            "label": self.label(),
            "crops": self.crops,
            "crop_seconds": crops.seconds if crops else None,
            "eval_frames": self.frames if crops else None,
            "backend": self.backend,
            "norm": self.norm,
            "cohort": self.cohort.name if self.cohort else None,
            "top": self.top,
            "subtract_mean": self.subtract_mean,
        }

    def label(self) -> str:
        """Return a short name for folders and metrics; empty for the default."""
        parts = [f"{self.crops}x{self._length('f', 's')}"] if self.crops else []
        parts += [self.backend] if self.backend != "cosine" else []
        parts += ["mean"] if self.subtract_mean else []
        parts += [self.norm] if self.norm != "none" else []
        parts += [f"top{self.top}"] if self.top is not None else []
        if self.cohort is not None:
            parts.append(re.sub(r"[^A-Za-z0-9.-]+", "-", self.cohort.stem))
        return "_".join(parts)

    def _length(self, frames: str, seconds: str) -> str:
        return (
            f"{self.crop_seconds:g}{seconds}" if self.frames is None else f"{self.frames}{frames}"
        )

    def describe(self) -> str:
        """Say in words what a score is."""
        parts = "whole utterances"
        if (crops := self.make_crops()) is not None:
            parts = f"{crops.count} crops of {crops.seconds:g} s"
            parts += "" if self.frames is None else f" ({self.frames} frames)"
        match self.backend:
            case "cosine" if self.crops:
                return (
                    f"cosine of the mean embeddings of {parts} (averaged before length "
                    "normalisation)"
                )
            case "cosine":
                return f"cosine of the embeddings of {parts}"
            case "crop_distance":
                return (
                    f"minus the mean Euclidean distance of the embeddings of {parts}, each of one "
                    "side against each of the other, at unit length"
                )


DEFAULT = Protocol()
