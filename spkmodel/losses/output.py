"""The result of every loss."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LossOutput:
    """The loss to minimise and its own figures, which carry no gradient.

    Figures: `accuracy` of a loss that classifies, among the training speakers or, prototypical
    ones, among those of the batch; `active_triplet_fraction` of one with triplets;
    `centre_distance` of the centre loss; `margin` or `margin_rad` as it is at this step.
    """

    loss: Float[Tensor, ""]
    parts: dict[str, Float[Tensor, ""]]
