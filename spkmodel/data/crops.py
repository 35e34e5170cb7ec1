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
    """As many crops of each utterance, evenly spaced: voxceleb_trainer hears 10 of 4 s.

    Raises:
        ValueError: if there is no such number of crops, or none of such a length.
    """

    count: int
    seconds: float

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_CROPS:
            raise ValueError(
                f"crops of an utterance: 1 to {MOST_CROPS}, got {self.count}; 0 hears it as a whole"
            )
        if not LEAST_SECONDS <= self.seconds <= MOST_SECONDS:
            raise ValueError(
                f"a crop lasts {LEAST_SECONDS:g} to {MOST_SECONDS:g} seconds, got {self.seconds:g}"
            )

    @property
    def samples(self) -> int:
        """Of one crop: what its frames of 25 ms every 10 ms span, 100 a second."""
        return round(100 * self.seconds) * HOP + SPAN


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
