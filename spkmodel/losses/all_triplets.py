"""Sum the costs of all triplets of a batch in the memory of a few matrices of distances."""

from typing import Any, Literal, NamedTuple, TypeAlias, assert_never

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

Form: TypeAlias = Literal["hinge", "softplus", "positives_only"]

NO_COST = 1e-16
"""A triplet that costs no more has nothing left to teach; the soft margin has no such triplets."""


class TripletSums(NamedTuple):
    """What a mean over triplets is made of."""

    cost: Float[Tensor, ""]
    counted: Int[Tensor, ""]
    """Triplets that cost something."""
    active: Int[Tensor, ""]
    """Triplets that violate their constraint."""


def costs(
    form: Form, to_positive: Float[Tensor, "batch places"], excess: Float[Tensor, "batch places"]
) -> Float[Tensor, "batch places"]:
    """Return what triplets cost whose excess is d(anchor, positive) - d(anchor, negative) + margin.

    hinge: relu(e). softplus: log(1 + exp(e)). positives_only: d(anchor, positive).
    """
    match form:
        case "hinge":
            return F.relu(excess)
        case "softplus":
            return F.softplus(excess)
        case "positives_only":
            return to_positive
        case _:
            assert_never(form)


def sum_all_triplets(
    distances: Float[Tensor, "batch batch"],
    positive: Int[Tensor, "batch places"],
    is_positive: Bool[Tensor, "batch places"],
    is_negative: Bool[Tensor, "batch batch"],
    margin: float,
    form: Form,
) -> TripletSums:
    """Sum over every anchor, positive and negative.

    Memory is a few times that of `distances`, whatever the number of triplets: the gradient is
    summed up on the way instead of kept for each of them. It can be taken once, not twice.
    """
    sums = _AllTriplets.apply(  # type: ignore[no-untyped-call]  # torch has it without types
        distances, positive, is_positive, is_negative, margin, form
    )
    return TripletSums(*sums)


class _AllTriplets(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        distances: Tensor,
        positive: Tensor,
        is_positive: Tensor,
        is_negative: Tensor,
        margin: float,
        form: Form,
    ) -> tuple[Tensor, Tensor, Tensor]:
        cost = distances.new_zeros(())
        counted = active = torch.zeros((), dtype=torch.long, device=distances.device)
        gradient = torch.zeros_like(distances)
        # One positive of every anchor at a time: all at once, a batch of 576 in groups of 8 would
        # take seven matrices of its size for every step of the sum, and keep them for the gradient.
        for place in range(positive.shape[1]):
            rows = positive[:, place : place + 1]
            to_positive = distances.gather(1, rows).expand_as(distances)
            is_triplet = is_negative & is_positive[:, place : place + 1]
            excess = to_positive - distances + margin
            each = torch.where(is_triplet, costs(form, to_positive, excess), 0.0)
            cost = cost + each.sum()
            violation = to_positive if form == "positives_only" else excess
            active = active + ((violation > NO_COST) & is_triplet).sum()
            is_counted = is_triplet if form == "softplus" else each > NO_COST
            counted = counted + is_counted.sum()
            slope = _slope(form, excess) * is_triplet
            gradient.scatter_add_(1, rows, slope.sum(dim=1, keepdim=True))
            if form != "positives_only":
                gradient -= slope
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(counted, active)
        return cost, counted, active

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradients[0] * gradient, None, None, None, None, None


def _slope(form: Form, excess: Float[Tensor, "batch batch"]) -> Float[Tensor, "batch batch"]:
    """Return the derivative of the cost with respect to the distance of the positive."""
    match form:
        case "hinge":
            return (excess > 0).to(excess.dtype)
        case "softplus":
            return excess.sigmoid()
        case "positives_only":
            return torch.ones_like(excess)
        case _:
            assert_never(form)
