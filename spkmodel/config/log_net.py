"""Config of the log's network, with every option that its entries varied."""

from typing import Literal

from pydantic import Field, model_validator

from spkmodel.config.front_ends import RawWaveform
from spkmodel.config.frozen_model import FrozenModel

Norm = Literal["batch", "batch_renorm", "layer", "none"]
"""Between convolutions. batch: BatchNorm with an offset and no scale, as in the log. batch_renorm:
the same, corrected towards the running statistics (see `BatchRenorm`). layer: over all channels
and all of the time of one utterance, with scale and offset."""


class BatchRenorm(FrozenModel):
    """How far Batch Renormalisation may correct BatchNorm (Ioffe 2017, arXiv:1702.03275, alg. 1).

    Limits rise in a line, counted in training batches: from 1 and 0, which is BatchNorm, to
    `r_max` and `d_max`. Ioffe's statistics move by 0.01 a batch and his limits rise over 5,000,
    40,000 and 25,000 batches; here statistics move by 0.1, and the batches are a tenth of his. For
    limits that are fixed, all three are 0.
    """

    r_max: float = Field(default=3.0, ge=1, le=1e6)
    """The batch's deviation may be corrected by a factor from 1 / r_max to r_max."""
    d_max: float = Field(default=5.0, ge=0, le=1e6)
    """The batch's mean may be corrected by this many running deviations."""
    hold_batches: int = Field(default=500, ge=0)
    """So many batches of plain BatchNorm come first."""
    r_batches: int = Field(default=4_000, ge=0)
    """`r_max` is reached here."""
    d_batches: int = Field(default=2_500, ge=0)
    """`d_max` is reached here."""

    @model_validator(mode="after")
    def _rises_after_the_hold(self) -> "BatchRenorm":
        if min(self.r_batches, self.d_batches) < self.hold_batches:
            raise ValueError(
                "renorm.r_batches and renorm.d_batches must not come before renorm.hold_batches, "
                f"got {self.r_batches} and {self.d_batches} before {self.hold_batches}"
            )
        return self


class LogNet(FrozenModel):
    """The log's own network on raw waveform; `reference` entry numbers are those of the log.

    InBlock, EBlocks that each halve time, FCBlock, OutBlock. `merge="add"` is the log's model1
    (entries 01-14), `"concatenate"` its model2 (15 on). An added skip is padded with zeros where an
    EBlock is wider than its input, and goes through a 1x1 convolution where it is narrower.
    """

    kind: Literal["log_net"] = "log_net"
    waveform: RawWaveform = RawWaveform()
    merge: Literal["add", "concatenate"] = "concatenate"
    skip: bool = True
    """Whether the EBlocks have their skip connection; only the first entries lack it."""
    skip_pooling: Literal["average", "max"] = "average"
    in_channels: int = Field(default=32, ge=1, le=1024)
    in_kernel: Literal[3, 7] = 7
    in_resblock: bool = False
    channels: tuple[int, ...] = (32, 32, 32, 48, 48, 48, 48, 64, 64, 64)
    resblocks: tuple[int, ...] = (0, 1, 1, 2, 2, 2, 3, 3, 3, 3)
    kernel: Literal[3, 4, 7] = 3
    order: Literal["O1", "O2", "O3"] = "O1"
    """O1: act, 1x1, act, conv, ResBlocks, SE. O2: as O1 with act after conv. O3: as O2 without the
    first act. With `merge="add"` there is no 1x1 and only O1: act, conv, ResBlocks, SE."""
    bottleneck: bool = True
    """The 1x1 convolution before the strided one, where the input is wider than the block."""
    activation: Literal["relu", "swish"] = "swish"
    resblock_norm: Norm = "batch"
    eblock_norm: Norm = "none"
    eblock_norm_place: Literal["after_conv", "first", "between"] = "after_conv"
    """after_conv: behind the strided convolution (entries 01.2, 02.1). first: before all else in
    the EBlock (34, "bn > O1"). between: behind the 1x1 convolution (35)."""
    renorm: BatchRenorm = BatchRenorm()
    """For the norms that are "batch_renorm"."""
    se_resblock: bool = True
    se_eblock: bool = True
    se_first_conv: bool = False
    global_pooling: Literal["average", "max"] = "average"
    dense: tuple[int, ...] = (512, 512)
    """Widths of the FCBlock's dense layers."""
    dense_act_first: bool = False
    """An activation before the first of them, as the text of entry 113 writes it; no published
    code of the log has it."""
    dense_skip: bool = True
    """Whether the FCBlock's input is added to its output, through a dense layer without bias where
    their widths differ (in the log's entries they never do)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer: the OutBlock's, or the FCBlock's where there is no OutBlock."""
    out_dim: int | None = Field(default=None, ge=2, le=4096)
    """Width of the OutBlock, which then is the embedding; None: the FCBlock is the embedding."""
    embedding_norm: Literal["none", "batch", "layer", "l2"] = "none"
    """On what is the embedding otherwise; "layer" over its dimensions, "l2" to unit length."""
    init: Literal["he", "lecun"] = "he"
    """The variance of a convolution's fresh weights: he: 2 / fan_in, which keeps a signal through
    any number of ReLUs. lecun: 1 / fan_in, as the log's code drew them; without norms and skips
    (entry 01.1) the signal then loses half its power at every layer."""

    @property
    def embedding_dim(self) -> int:
        """Width of the embedding."""
        return self.dense[-1] if self.out_dim is None else self.out_dim

    @property
    def pooled_dim(self) -> int:
        """Width of what enters the FCBlock."""
        if self.skip and self.merge == "concatenate":
            return self.in_channels + sum(self.channels)
        return self.channels[-1]

    @property
    def eblock_inputs(self) -> tuple[int, ...]:
        """Channels that enter each EBlock."""
        if not (self.skip and self.merge == "concatenate"):
            return (self.in_channels, *self.channels)[: len(self.channels)]
        return tuple(self.in_channels + sum(self.channels[:i]) for i in range(len(self.channels)))

    @property
    def bottlenecks(self) -> tuple[bool, ...]:
        """Which EBlocks have the 1x1 convolution."""
        return tuple(
            self.bottleneck and self.merge == "concatenate" and channels_in > channels
            for channels_in, channels in zip(self.eblock_inputs, self.channels, strict=True)
        )

    @model_validator(mode="after")
    def _blocks_agree(self) -> "LogNet":
        if len(self.channels) != len(self.resblocks) or not self.channels:
            raise ValueError(
                "encoder.channels and encoder.resblocks need one number for each EBlock, got "
                f"{len(self.channels)} and {len(self.resblocks)}"
            )
        if min(self.channels) < 1 or min(self.resblocks) < 0 or min(self.dense, default=0) < 2:
            raise ValueError(
                "encoder.channels must be positive, encoder.resblocks not negative, encoder.dense "
                "one or more widths of at least 2, got "
                f"{self.channels}, {self.resblocks}, {self.dense}"
            )
        if not self.skip and self.skip_pooling != "average":
            raise ValueError(
                f'encoder.skip_pooling="{self.skip_pooling}" needs encoder.skip=True, got False'
            )
        if self.merge == "add" and self.order != "O1":
            raise ValueError(
                f'encoder.order must be "O1" with encoder.merge="add", got "{self.order}"'
            )
        return self

    @model_validator(mode="after")
    def _norms_have_a_place(self) -> "LogNet":
        if self.eblock_norm == "none" and self.eblock_norm_place != "after_conv":
            raise ValueError(
                f'encoder.eblock_norm_place="{self.eblock_norm_place}" needs a norm to place: '
                'encoder.eblock_norm is "none"'
            )
        if self.eblock_norm_place == "between" and not any(self.bottlenecks):
            raise ValueError(
                'encoder.eblock_norm_place="between" lies behind the 1x1 convolution, which no '
                'EBlock here has: it takes encoder.merge="concatenate", encoder.bottleneck=True '
                "and an EBlock of fewer channels than enter it"
            )
        if self.renorm != BatchRenorm() and "batch_renorm" not in (
            self.resblock_norm,
            self.eblock_norm,
        ):
            raise ValueError(
                'encoder.renorm is for norms that are "batch_renorm", got encoder.resblock_norm='
                f'"{self.resblock_norm}" and encoder.eblock_norm="{self.eblock_norm}"'
            )
        return self
