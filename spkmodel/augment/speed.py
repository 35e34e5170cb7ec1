"""Speech at another speed, by band-limited resampling; see `config.Speed`."""

import math
from fractions import Fraction
from functools import lru_cache

import torchaudio
from jaxtyping import Float
from torch import Tensor

_ZERO_CROSSINGS = 6
_ROLL_OFF = 0.99


def samples_read(samples: int, rate: float) -> int:
    """How much of an utterance becomes `samples` samples."""
    return math.ceil(samples * rate)


def samples_around(rate: float) -> int:
    """How much the resampling looks at before and after; a multiple of the ratio's numerator."""
    ratio = _ratio(rate)
    reach = math.ceil(_ZERO_CROSSINGS * max(rate, 1) / _ROLL_OFF) + 1
    return math.ceil(reach / ratio.numerator) * ratio.numerator


def change_speed(
    stretches: Float[Tensor, "batch stretch"], rate: float, samples: int
) -> Float[Tensor, "batch samples"]:
    """The first `samples` of what follows the margin, at `rate` times the speed.

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
    """Kept, because its kernel is computed when it is made."""
    return torchaudio.transforms.Resample(
        ratio.numerator,
        ratio.denominator,
        lowpass_filter_width=_ZERO_CROSSINGS,
        rolloff=_ROLL_OFF,
    )
