"""Score pairs with what was learnt from other utterances: their mean and a cohort."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spkmodel.data.lists import Pair
from spkmodel.verification import scoring
from spkmodel.verification.score_norm import Selection, as_norm


@dataclass(frozen=True, eq=False)
class BackEnd:
    """From embeddings to scores."""

    backend: scoring.Backend = "cosine"
    mean: Float[Tensor, " dim"] | None = None
    """Subtracted from every embedding, those of the cohort included."""
    cohort: Float[Tensor, "members dim"] | None = None
    """At unit length; None: scores stay as they are."""
    top: int = 0
    selection: Selection = "own"

    def __post_init__(self) -> None:
        if self.cohort is not None and self.backend != "cosine":
            raise ValueError(
                f"AS-norm measures cosines, so it takes the cosine backend, got {self.backend}"
            )

    def score(
        self, embeddings: Mapping[str, Tensor], pairs: Sequence[Pair]
    ) -> Float[np.ndarray, " pairs"]:
        """Score pairs as `scoring.score_pairs`, after centring, and normalise the scores."""
        centred = centre(embeddings, self.mean)
        scores = scoring.score_pairs(centred, pairs, self.backend)
        if self.cohort is None:
            return scores
        names, sides = scoring.index_pairs(centred, pairs)
        units, cohort = (
            scoring.unit_vectors(names, scoring.mean_embeddings(centred, names)),
            self.cohort,
        )

        def against(places: Int[np.ndarray, " utterances"]) -> Float[np.ndarray, "_u members"]:
            return (units[torch.from_numpy(places)] @ cohort.T).numpy()

        return as_norm(scores, sides.numpy(), against, self.top, self.selection)


def centre(
    embeddings: Mapping[str, Tensor], mean: Float[Tensor, " dim"] | None
) -> Mapping[str, Tensor]:
    """Subtract the mean from every embedding, or from every crop's."""
    if mean is None:
        return embeddings
    return {name: embedding.double() - mean for name, embedding in embeddings.items()}


def mean_of(embeddings: Mapping[str, Tensor]) -> Float[Tensor, " dim"]:
    """Return the mean over utterances, in float64."""
    return scoring.mean_embeddings(embeddings, list(embeddings)).mean(dim=0)


def speaker_cohort(
    embeddings: Mapping[str, Tensor],
    speaker_of: Callable[[str], str],
    mean: Float[Tensor, " dim"] | None = None,
) -> Float[Tensor, "members dim"]:
    """Build a cohort of speakers: the mean of each one's embeddings, at unit length."""
    names = list(embeddings)
    numbers = scoring.mean_embeddings(centre(embeddings, mean), names)
    speakers = sorted({speaker_of(name) for name in names})
    places = {speaker: place for place, speaker in enumerate(speakers)}
    rows = torch.tensor([places[speaker_of(name)] for name in names])
    sums = torch.zeros(len(speakers), numbers.shape[1], dtype=numbers.dtype)
    # Sums have the direction of means, and only it counts.
    return scoring.unit_vectors(speakers, sums.index_add(0, rows, numbers))


def utterance_cohort(
    embeddings: Mapping[str, Tensor], mean: Float[Tensor, " dim"] | None = None
) -> Float[Tensor, "members dim"]:
    """Build a cohort of utterances."""
    names = list(embeddings)
    return scoring.unit_vectors(names, scoring.mean_embeddings(centre(embeddings, mean), names))
