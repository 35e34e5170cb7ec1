"""Recording conditions in which the same pairs are evaluated.

A corpus with one recording session a speaker lets a network tell channels apart instead of
voices; the mismatched condition takes that away. The others ask one question each: a telephone
line, a second of speech, a distant microphone, a lossy codec, a low level, an overdriven one.
"""

from spkmodel.augment.conditions.recipes import apply_to_stored, apply_to_waveform
from spkmodel.augment.conditions.stores import conditioned_store, noise_and_rooms_for
from spkmodel.core.condition_names import CONDITIONS, SOMEWHERE, Condition

__all__ = [
    "CONDITIONS",
    "SOMEWHERE",
    "Condition",
    "apply_to_stored",
    "apply_to_waveform",
    "conditioned_store",
    "noise_and_rooms_for",
]
