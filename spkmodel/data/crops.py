"""Cut utterances into evenly spaced crops, for scoring pairs by crops."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from spkmodel.data.audio import SAMPLE_RATE

HOP = SAMPLE_RATE // 100
SPAN = 240
"""What a window of 25 ms reaches beyond its hop of 10 ms."""
MOST_CROPS = 100
LEAST_SECONDS, MOST_SECONDS = 0.1, 60.0


@dataclass(frozen=True)
class Crops:
    """As many crops of each utterance, evenly spaced.

    Raises:
        ValueError: if there is no such number of crops, or none of such a length.
    """

    count: int
    samples: int
    """Of one crop."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_CROPS:
            raise ValueError(
                f"crops of an utterance: 1 to {MOST_CROPS}, got {self.count}; 0: the whole"
            )
        _require_possible(self.seconds)

    @classmethod
    def from_seconds(cls, count: int, seconds: float) -> "Crops":
        """Return crops of a length in seconds."""
        _require_possible(seconds)
        return cls(count, round(seconds * SAMPLE_RATE))

    @classmethod
    def from_frames(cls, count: int, frames: int) -> "Crops":
        """Return crops of what `frames` frames of 25 ms every 10 ms span: voxceleb_trainer's.

        Its `eval_frames` 400 are 4.015 s.
        """
        return cls(count, frames * HOP + SPAN)

    @property
    def seconds(self) -> float:
        """The length of a crop."""
        return self.samples / SAMPLE_RATE


def _require_possible(seconds: float) -> None:
    # Not a number is in no range.
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise ValueError(
            f"a crop lasts {LEAST_SECONDS:g} to {MOST_SECONDS:g} seconds, got {seconds:g}"
        )


def crop_starts(samples: int, crops: Crops) -> Int[np.ndarray, " crops"]:
    """Return the crops' first samples, for an utterance longer than one; the last ends with it."""
    return np.linspace(0, samples - crops.samples, num=crops.count).astype(np.int64)


def cut_crops(
    waveform: Shaped[np.ndarray, " samples"], crops: Crops
) -> Shaped[np.ndarray, "crops crop"]:
    """Cut the crops of one utterance, as a copy.

    One that is not longer than a crop is repeated up to one sample more than a crop has, so that
    its crops are nearly alike; so does voxceleb_trainer.
    """
    if len(waveform) <= crops.samples:
        waveform = np.resize(waveform, crops.samples + 1)
    first = crop_starts(len(waveform), crops)
    return np.stack([waveform[start : start + crops.samples] for start in first.tolist()])
