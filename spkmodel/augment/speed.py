"""Change the speed of speech by band-limited resampling; see `config.Speed`."""

import math
from fractions import Fraction
from functools import lru_cache

import torchaudio
from jaxtyping import Float
from torch import Tensor

_ZERO_CROSSINGS = 6
_ROLL_OFF = 0.99


def samples_read(samples: int, rate: float) -> int:
    """Return how many samples of an utterance become `samples` samples."""
    return math.ceil(samples * rate)


def samples_around(rate: float) -> int:
    """Return the margin that resampling reads on each side; a multiple of the ratio's numerator."""
    ratio = _ratio(rate)
    reach = math.ceil(_ZERO_CROSSINGS * max(rate, 1) / _ROLL_OFF) + 1
    return math.ceil(reach / ratio.numerator) * ratio.numerator


def change_speed(
    stretches: Float[Tensor, "batch stretch"], rate: float, samples: int
) -> Float[Tensor, "batch samples"]:
    """Return the first `samples` samples after the margin, played at `rate` times the speed.

    A stretch is `samples_around`, then `samples_read`, then `samples_around` again. What would lie
    beyond 8 kHz is filtered away.
    """
    ratio = _ratio(rate)
    before = samples_around(rate) // ratio.numerator * ratio.denominator
    resampled: Tensor = _resampler(ratio)(stretches)
    return resampled[:, before : before + samples]


def _ratio(rate: float) -> Fraction:
    return Fraction(rate).limit_denominator(100)


@lru_cache(maxsize=32)
def _resampler(ratio: Fraction) -> torchaudio.transforms.Resample:
    """Return a cached resampler: its kernel is computed when it is built."""
    return torchaudio.transforms.Resample(
        ratio.numerator,
        ratio.denominator,
        lowpass_filter_width=_ZERO_CROSSINGS,
        rolloff=_ROLL_OFF,
    )
