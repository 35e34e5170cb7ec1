"""Augment training crops: speed, level, a channel's filter, a room, voices, an ambience.

Everything runs on the device that the crops are on; every draw comes from a generator on the CPU,
so that all devices draw the same.
"""

from spkmodel.augment.augmenter import (
    Augmenter,
)
from spkmodel.augment.channel import (
    FILTER_POINTS,
    draw_filter,
    fast_size,
    reverberate,
    smooth_filter,
)
from spkmodel.augment.sounds import (
    add_ambience,
    babble,
    excerpt,
    gain,
    scale_to_snr,
)

__all__ = [
    "FILTER_POINTS",
    "Augmenter",
    "add_ambience",
    "babble",
    "draw_filter",
    "excerpt",
    "fast_size",
    "gain",
    "reverberate",
    "scale_to_snr",
    "smooth_filter",
]
