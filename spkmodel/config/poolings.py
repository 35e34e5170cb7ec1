"""Configs of poolings, from a sequence over time to one vector per utterance."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from spkmodel.config.frozen_model import FrozenModel


class MultiHead(FrozenModel):
    """Multi-head attention (India et al. 2019, arXiv:1906.09890): channels in groups, each weighed.

    Every head has one weight per frame for its own share of the channels.
    """

    kind: Literal["multi_head"] = "multi_head"
    heads: int = Field(default=4, ge=1, le=256)
    """They share the pooled channels evenly, so their number divides that of the channels."""
    deviation: bool = False
    """Whether the weighted deviation stands beside the weighted mean."""


def _form(pooling: object) -> str:
    return "by name" if isinstance(pooling, str) else "multi_head"


# The tags make a misspelt name one problem, where a bare union would report one for each member.
Pooling = Annotated[
    Annotated[
        Literal[
            "mean", "max", "statistics", "sap", "asp", "channel_sap", "channel_asp", "context_asp"
        ],
        Tag("by name"),
    ]
    | Annotated[MultiHead, Tag("multi_head")],
    Discriminator(_form),
]
"""mean (also called TAP), max and statistics (mean and deviation) have no weights.

sap, asp: one attention weight per frame; mean, or mean and deviation. channel_sap, channel_asp: one
per frame and channel, as in voxceleb_trainer's ResNetSE34V2. context_asp: one per frame and
channel, read off the frame and the utterance's mean and deviation, as in ECAPA-TDNN.
"""


def check_pooling(pooling: Pooling, channels: int) -> None:
    """Raise an error if the heads cannot divide the pooled channels evenly.

    Raises:
        ValueError: naming the field and the remedy.
    """
    if isinstance(pooling, MultiHead) and channels % pooling.heads:
        divisors = [heads for heads in range(1, channels + 1) if channels % heads == 0]
        nearest = min(divisors, key=lambda heads: abs(heads - pooling.heads))
        raise ValueError(
            f"encoder.pooling.heads must divide the {channels} channels that are pooled, got "
            f"{pooling.heads}; {nearest} would"
        )
