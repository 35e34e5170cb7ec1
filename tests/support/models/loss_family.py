"""Every loss in every form, and embeddings to compute them on."""

import math

import torch

from spkmodel import config as c
from spkmodel import losses

SPEAKERS = torch.arange(4).repeat_interleave(3)


def combined(*terms):
    return c.Combined(
        terms=tuple(c.Weighted(loss=loss, weight=weight) for loss, weight in terms),
    )


FAMILY = {
    "softmax": c.Softmax(),
    **{
        f"softmax-{head}": c.Softmax(head=head, head_activation="swish")
        for head in ("act_dense", "act_dense_act_dense", "dense_act_dense")
    },
    "am_softmax": c.AMSoftmax(),
    **{
        f"aam_softmax-{fallback}": c.AAMSoftmax(fallback=fallback)
        for fallback in ("sine_line", "cosine_line", "easy_margin")
    },
    "aam_softmax-moving": c.AAMSoftmax(margin_schedule=c.LinearMargin()),
    "sub_centre_aam_softmax": c.SubCentreAAMSoftmax(hard_speakers=2),
    "sub_centre_aam_softmax-plain": c.SubCentreAAMSoftmax(hard_speakers=0, hard_penalty_rad=0),
    "angular_prototypical": c.AngularPrototypical(),
    "prototypical": c.Prototypical(),
    "ge2e-softmax": c.GE2E(),
    "ge2e-contrast": c.GE2E(form="contrast"),
    "ge2e-floor": c.GE2E(floor_cosines=True),
    **{
        f"triplet-{mining}-{distance}-{'unit' if normalise else 'raw'}": c.Triplet(
            mining=mining, distance=distance, normalise=normalise
        )
        for mining in ("batch_all", "batch_hard", "batch_semi_hard")
        for distance in ("euclidean", "squared", "cosine")
        for normalise in (True, False)
    },
    "triplet-rank": c.Triplet(mining="rank", hard_rank=0, hard_probability=1, distance="squared"),
    "triplet-softplus": c.Triplet(mining="batch_hard", form="softplus", margin=0),
    "triplet-positives_only": c.Triplet(form="positives_only", margin=0),
    "centre": c.Centre(),
    "centre-unit": c.Centre(normalise=True),
    "combined": combined((c.AAMSoftmax(), 1), (c.Triplet(), 0.5), (c.Centre(), 0.01)),
}
"""Without chance in it: rank mining always takes the nearest negative."""


def drawn(seed=0, rows=12, dim=6):
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))


def waves(*shape, rate=0.37):
    """Return numbers that every torch makes alike: sin(rate n^2), n = 1, 2, ..., in float64."""
    count = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    return torch.sin(rate * count**2).reshape(shape)


def built(config, dim=6, speakers=4):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return losses.build(config, embedding_dim=dim, speakers=speakers)


def step(tensors, length):
    """Move each tensor by one gradient step of that length."""
    with torch.no_grad():
        for tensor in tensors:
            tensor -= length * tensor.grad / tensor.grad.norm().clamp(min=1e-9)
            tensor.grad = None
