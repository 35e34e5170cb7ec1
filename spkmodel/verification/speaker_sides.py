"""Number the speakers of a list of pairs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from spkmodel.verification.ranking import Numbers, Ranking


@dataclass(frozen=True, slots=True)
class SpeakerSides:
    """The speakers of both sides of each pair, as indices; equal for a target pair."""

    speakers: int
    enrol: Int[np.ndarray, " pairs"]
    test: Int[np.ndarray, " pairs"]


def index_speakers(
    enrol_speakers: Numbers, test_speakers: Numbers, ranking: Ranking
) -> SpeakerSides:
    """Number the speakers of the ranked pairs, given in the order of the list.

    Raises:
        ValueError: if their number is not that of the pairs, or a target pair has two speakers.
    """
    sides = np.asarray(enrol_speakers), np.asarray(test_speakers)
    if any(side.shape != (ranking.pairs,) for side in sides):
        raise ValueError(
            f"enrol_speakers and test_speakers need one speaker for each of {ranking.pairs} "
            f"pairs, got shapes {sides[0].shape} and {sides[1].shape}"
        )
    names, indices = np.unique(np.concatenate(sides), return_inverse=True)
    enrol, test = np.split(indices.astype(np.int64), 2)
    torn = np.sort(ranking.targets[enrol[ranking.targets] != test[ranking.targets]])
    if len(torn):
        raise ValueError(
            "the two sides of a target pair must be one speaker, got "
            f"{names[enrol[torn[0]]]} and {names[test[torn[0]]]} at index {torn[0]}"
        )
    return SpeakerSides(len(names), enrol, test)
