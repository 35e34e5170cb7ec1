"""Check what a config requires of a corpus, and say what would fit it.

What a message advises is accepted by the loss and filled by the corpus; where nothing is, the
message says that the corpus cannot carry the loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spkmodel.config.data import Batches, Speed
from spkmodel.config.losses import Loss

FEWEST_SPEAKERS = 2
"""Of a batch, and so of a corpus that can be trained on."""

_SHORTEST_CROP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class BatchShape:
    """P speakers x K utterances."""

    speakers: int
    utterances: int


def count_with(utterances_of: Sequence[int], utterances: int) -> int:
    """Return how many speakers have so many utterances or more."""
    return sum(count >= utterances for count in utterances_of)


def find_shapes(
    needs_utterances: int, batches: Batches, utterances_of: Sequence[int]
) -> list[BatchShape]:
    """Return the batches nearest to some that a corpus can fill: fewer speakers, fewer utterances.

    Args:
        needs_utterances: the fewest of each speaker that the loss accepts.
        batches: which the corpus cannot fill.
        utterances_of: the number of utterances of each training speaker.

    Returns:
        First with the same number of utterances, then with the same number of speakers, else with
        fewer of both. Empty if the corpus cannot carry the loss.
    """
    speakers = count_with(utterances_of, batches.utterances)
    shapes = [BatchShape(speakers, batches.utterances)] if speakers >= FEWEST_SPEAKERS else []
    fewer = range(batches.utterances - 1, needs_utterances - 1, -1)
    for utterances in fewer:
        if count_with(utterances_of, utterances) >= batches.speakers:
            return [*shapes, BatchShape(batches.speakers, utterances)]
    for utterances in () if shapes else fewer:
        if (speakers := count_with(utterances_of, utterances)) >= FEWEST_SPEAKERS:
            return [BatchShape(speakers, utterances)]
    return shapes


def check_filled(loss: Loss, batches: Batches, utterances_of: Sequence[int]) -> None:
    """Raise an error if the corpus has no full batch.

    Raises:
        ValueError: naming the field and the remedy.
    """
    speakers, able = len(utterances_of), count_with(utterances_of, batches.utterances)
    if speakers < FEWEST_SPEAKERS:
        raise ValueError(
            f"the training list has {speakers} speaker{'' if speakers == 1 else 's'}, and no loss "
            f"can tell fewer than {FEWEST_SPEAKERS} apart: this corpus cannot be trained on; add "
            "speakers to it"
        )
    if able >= batches.speakers:
        return
    if batches.speakers > speakers:
        problem = (
            f"batches.speakers={batches.speakers} is more than the {speakers} speakers of the "
            "training list"
        )
    else:
        problem = f"batches.speakers={batches.speakers}"
    if able < speakers:
        problem += (
            f", of whom {able} have batches.utterances={batches.utterances} utterances or more"
            if batches.speakers > speakers
            else f", but {able} of {speakers} training speakers have batches.utterances="
            f"{batches.utterances} utterances or more"
        )
    shapes = find_shapes(loss.needs_utterances, batches, utterances_of)
    raise ValueError(f"{problem}; {_advise(loss, batches, shapes)}")


def _advise(loss: Loss, batches: Batches, shapes: Sequence[BatchShape]) -> str:
    ways = []
    for shape in shapes:
        changes = []
        if shape.speakers != batches.speakers:
            changes.append(f"batches.speakers to {shape.speakers} or less")
        if shape.utterances != batches.utterances:
            changes.append(f"batches.utterances to {shape.utterances}")
        ways.append(" and ".join(changes))
    if ways:
        return f"set {', or '.join(ways)}"
    return (
        f"this corpus cannot carry loss.kind={loss.kind!r}, which compares "
        f"{loss.needs_utterances} utterances of a speaker or more; take a loss with a class for "
        "each speaker (softmax, am_softmax, aam_softmax) and batches.utterances=1, or add "
        "utterances to the corpus"
    )


def check_crop(
    place: str, crop_seconds: float, speed: Speed | None, longest_seconds: float
) -> None:
    """Raise an error if every utterance is shorter than a crop.

    Raises:
        ValueError: naming the field, which is in `place`, and the remedy.
    """
    fastest = 1.0 if speed is None else speed.fastest
    # 0.4 * 1.1 is above 0.44 as floats are; a billionth of a second is far below a sample.
    if crop_seconds * fastest <= longest_seconds + 1e-9:
        return
    field = f"{place}crop_seconds" if place else "batches.crop_seconds"
    at_rate = "" if speed is None else f" at {fastest} times the speed ({place}augment.speed)"
    # Rounded down: rounded to the nearest, the value would be refused again.
    most = math.floor(longest_seconds / fastest * 100) / 100
    advice = f"set it to {most:.2f} or less"
    if most < _SHORTEST_CROP_SECONDS:
        advice = (
            f"a crop lasts at least {_SHORTEST_CROP_SECONDS} s: this corpus cannot be trained on; "
            "add longer utterances to it"
        )
    raise ValueError(
        f"{field}={crop_seconds}{at_rate} is longer than every training utterance, the longest "
        f"lasting {longest_seconds:.2f} s; {advice}"
    )
