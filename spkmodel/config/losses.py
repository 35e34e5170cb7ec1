"""Configs of losses on the embeddings of a batch.

Every variant says in `needs_utterances` how many utterances of each speaker a batch must hold.
All go by the speakers' labels, so more than that is always welcome.
"""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from spkmodel.config.frozen_model import FrozenModel
from spkmodel.config.margins import (
    AAMSoftmax,
    AMSoftmax,
    ConstantMargin,
    MarginSchedule,
    SubCentreAAMSoftmax,
    check_initial,
)


class Softmax(FrozenModel):
    """Cross-entropy over the training speakers."""

    kind: Literal["softmax"] = "softmax"
    needs_utterances: ClassVar[int] = 1
    head: Literal["dense", "act_dense", "act_dense_act_dense", "dense_act_dense"] = "dense"
    """From embedding to speakers; a dense layer before the last one has the embedding's width.
    Entries 113-116 compare the four."""
    head_activation: Literal["relu", "swish"] | None = None
    """Of the head's `act`; to be named where there is one."""
    head_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the head's first dense layer, after an activation that precedes it (entries 06,
    117-118)."""

    @model_validator(mode="after")
    def _activation_has_a_place(self) -> "Softmax":
        if self.head == "dense" and self.head_activation is not None:
            raise ValueError(
                f"loss.head_activation={self.head_activation!r} has no place in loss.head='dense'; "
                "leave it out, or choose a head with an act in it"
            )
        if self.head != "dense" and self.head_activation is None:
            raise ValueError(
                f"loss.head_activation must be 'relu' or 'swish' with loss.head={self.head!r}, "
                "got none"
            )
        return self


class AngularPrototypical(FrozenModel):
    """Angular prototypical loss (Chung et al. 2020, arXiv:2003.11982, eq. 7)."""

    kind: Literal["angular_prototypical"] = "angular_prototypical"
    needs_utterances: ClassVar[int] = 2
    initial_scale: float = Field(default=10.0, ge=0.01, le=200)
    initial_bias: float = Field(default=-5.0, ge=-200, le=200)


class Prototypical(FrozenModel):
    """Prototypical loss on squared Euclidean distances (Snell et al. 2017, arXiv:1703.05175)."""

    kind: Literal["prototypical"] = "prototypical"
    needs_utterances: ClassVar[int] = 2


class GE2E(FrozenModel):
    """Generalised end-to-end loss (Wan et al. 2018, arXiv:1710.10467).

    Each utterance against the mean of every speaker's utterances, itself left out of its own.
    """

    kind: Literal["ge2e"] = "ge2e"
    needs_utterances: ClassVar[int] = 2
    form: Literal["softmax", "contrast"] = "softmax"
    """softmax: eq. 6, cross-entropy over the batch's speakers. contrast: eq. 7, own centroid
    against the nearest other one."""
    initial_scale: float = Field(default=10.0, ge=0.01, le=200)
    initial_bias: float = Field(default=-5.0, ge=-200, le=200)
    floor_cosines: bool = False
    """Whether cosines below 1e-6 count as that, as in voxceleb_trainer, and not in the paper: an
    utterance that points away from its own centroid is then not pulled back."""


class Triplet(FrozenModel):
    """Triplet loss with mining inside the batch (Schroff et al. 2015; Hermans et al. 2017)."""

    kind: Literal["triplet"] = "triplet"
    needs_utterances: ClassVar[int] = 2
    margin: float = Field(default=0.3, ge=0, le=10)
    """In the units of `distance`; between unit vectors, Euclidean and cosine distances reach 2 and
    squared ones 4."""
    mining: Literal["batch_all", "batch_hard", "batch_semi_hard", "random_semi_hard", "rank"] = (
        "batch_all"
    )
    """As `spkmodel.losses.mining.mine` says. rank and random_semi_hard are voxceleb_trainer's."""
    distance: Literal["euclidean", "squared", "cosine"] = "euclidean"
    normalise: bool = True
    """Whether embeddings are brought to unit length first; the log's, up to entry 121, are not."""
    form: Literal["hinge", "softplus", "positives_only"] = "hinge"
    """What a triplet costs. hinge: relu(d_ap - d_an + margin). softplus: log(1 + exp(d_ap - d_an +
    margin)), the soft margin at margin 0 (entry 127). positives_only: d_ap (entry 128); it needs
    margin 0, and a second loss that keeps speakers apart."""
    hard_rank: int | None = Field(default=None, ge=0, le=10_000)
    """With mining rank: a hard negative is among the nearest `hard_rank` + 1 (the lab: 10)."""
    hard_probability: float | None = Field(default=None, ge=0, le=1)
    """With mining rank: of taking a hard negative and not any (the lab: 0.5)."""
    margin_schedule: MarginSchedule = ConstantMargin()

    @model_validator(mode="after")
    def _rank_is_described(self) -> "Triplet":
        given = [self.hard_rank is not None, self.hard_probability is not None]
        if self.mining == "rank" and not all(given):
            raise ValueError(
                "loss.hard_rank and loss.hard_probability must be given with loss.mining='rank' "
                "(voxceleb_trainer's are 10 and 0.5)"
            )
        if self.mining != "rank" and any(given):
            raise ValueError(
                "loss.hard_rank and loss.hard_probability belong to loss.mining='rank', got "
                f"loss.mining={self.mining!r}; leave them out"
            )
        return self

    @model_validator(mode="after")
    def _margin_has_a_use(self) -> "Triplet":
        check_initial(self.margin_schedule, self.margin, limit=math.inf)
        if self.form == "positives_only" and (
            self.margin > 0 or not isinstance(self.margin_schedule, ConstantMargin)
        ):
            raise ValueError(
                "loss.margin must be 0 and constant with loss.form='positives_only', which has no "
                f"negatives to keep away, got {self.margin}"
            )
        return self


class Centre(FrozenModel):
    """Centre loss (Wen et al. 2016, "A Discriminative Feature Learning Approach", eq. 2).

    Half the squared distance to the speaker's centre, averaged over the batch (the paper sums).
    It only draws together, so it needs another loss beside it in a `Combined`.
    """

    kind: Literal["centre"] = "centre"
    needs_utterances: ClassVar[int] = 1
    centre_rate: float = Field(default=0.5, gt=0, le=1)
    """How far a centre follows its utterances at each step (alpha of eq. 4). Centres have no
    gradient: neither the optimiser nor the weight of the loss moves them."""
    normalise: bool = False
    """Whether embeddings are brought to unit length first; the paper's are not."""


Classification = Annotated[
    Softmax | AMSoftmax | AAMSoftmax | SubCentreAAMSoftmax, Field(discriminator="kind")
]
"""Losses with a class for each training speaker."""

SingleLoss = Annotated[
    Softmax
    | AMSoftmax
    | AAMSoftmax
    | SubCentreAAMSoftmax
    | AngularPrototypical
    | Prototypical
    | GE2E
    | Triplet
    | Centre,
    Field(discriminator="kind"),
]


class Weighted(FrozenModel):
    """One term of a sum of losses."""

    loss: SingleLoss
    weight: float = Field(default=1.0, gt=0, le=1000)


class Combined(FrozenModel):
    """Weighted sum of losses on the same embeddings.

    The default is the log's from entry 112: softmax and triplets, 1:1. `Softmax` and
    `AngularPrototypical`, 1:1, is voxceleb_trainer's `softmaxproto`.
    """

    kind: Literal["combined"] = "combined"
    terms: tuple[Weighted, ...] = (Weighted(loss=Softmax()), Weighted(loss=Triplet()))

    @field_validator("terms", mode="before")
    @classmethod
    def _is_one_sum(cls, terms: Any) -> Any:
        for term in terms if isinstance(terms, list | tuple) else ():
            loss = term.get("loss") if isinstance(term, dict) else getattr(term, "loss", None)
            kind = loss.get("kind") if isinstance(loss, dict) else getattr(loss, "kind", None)
            if kind == "combined":
                raise ValueError(
                    "loss.terms: a combined loss within a combined loss is one sum; put all its "
                    "terms into one list, with their weights multiplied"
                )
        return terms

    @field_validator("terms")
    @classmethod
    def _is_a_sum(cls, terms: tuple[Weighted, ...]) -> tuple[Weighted, ...]:
        if len(terms) < 2:
            raise ValueError(
                f"loss.terms must be at least 2, got {len(terms)}; a single loss needs no Combined "
                "around it"
            )
        return terms

    @property
    def needs_utterances(self) -> int:
        """That of its most demanding term."""
        return max(term.loss.needs_utterances for term in self.terms)


Loss = Annotated[
    Softmax
    | AMSoftmax
    | AAMSoftmax
    | SubCentreAAMSoftmax
    | AngularPrototypical
    | Prototypical
    | GE2E
    | Triplet
    | Centre
    | Combined,
    Field(discriminator="kind"),
]
