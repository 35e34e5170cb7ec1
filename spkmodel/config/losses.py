"""Losses: what training asks of the embeddings of a batch."""

from typing import Annotated, Literal

from pydantic import Field

from spkmodel.config.part import Part


class Softmax(Part):
    """Cross-entropy over the training speakers."""

    kind: Literal["softmax"] = "softmax"


class AMSoftmax(Part):
    """Additive margin softmax (Wang et al. 2018, arXiv:1801.05599): s (cos - m)."""

    kind: Literal["am_softmax"] = "am_softmax"
    margin: float = Field(default=0.2, ge=0, lt=1)
    """Subtracted from the target's cosine."""
    scale: float = Field(default=30.0, gt=0, le=200)


class AAMSoftmax(Part):
    """Additive angular margin softmax (Deng et al. 2019, arXiv:1801.07698): s cos(theta + m)."""

    kind: Literal["aam_softmax"] = "aam_softmax"
    margin_rad: float = Field(default=0.2, ge=0, lt=1.6)
    scale: float = Field(default=30.0, gt=0, le=200)


class AngularPrototypical(Part):
    """Angular prototypical loss (Chung et al. 2020, arXiv:2003.11982, eq. 7)."""

    kind: Literal["angular_prototypical"] = "angular_prototypical"
    initial_scale: float = Field(default=10.0, gt=0, le=200)
    initial_bias: float = -5.0


class Triplet(Part):
    """Triplet loss with mining inside the batch (Schroff et al. 2015; Hermans et al. 2017)."""

    kind: Literal["triplet"] = "triplet"
    margin: float = Field(default=0.3, ge=0, le=10)
    """In the units of `distance`; between unit vectors, Euclidean and cosine distances reach 2 and
    squared ones 4."""
    mining: Literal["batch_all", "batch_hard", "batch_semi_hard"] = "batch_all"
    distance: Literal["euclidean", "squared", "cosine"] = "euclidean"
    normalise: bool = True
    """Whether embeddings are brought to unit length first; the log's, up to entry 121, are not."""


Classification = Annotated[Softmax | AMSoftmax | AAMSoftmax, Field(discriminator="kind")]


class Combined(Part):
    """Classification plus weighted triplet loss on the same embeddings (the log from entry 112)."""

    kind: Literal["combined"] = "combined"
    classification: Classification = Softmax()
    triplet: Triplet = Triplet()
    triplet_weight: float = Field(default=1.0, gt=0, le=100)


Loss = Annotated[
    Softmax | AMSoftmax | AAMSoftmax | AngularPrototypical | Triplet | Combined,
    Field(discriminator="kind"),
]
