"""What one training is: frozen, validated variants; equal configs train equal networks.

Only pydantic and the standard library are imported here, so that a space can be described
without loading torch.
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Part(BaseModel):
    """A frozen piece of a config; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- front ends ------------------------------------------------------------------------------


class LogMel(Part):
    """Log mel power spectrogram of 16 kHz audio, normalised by utterance or not at all."""

    kind: Literal["log_mel"] = "log_mel"
    mels: int = Field(default=40, ge=8, le=256)
    window: Literal["hamming", "hann"] = "hamming"
    window_ms: float = Field(default=25.0, ge=1, le=100)
    hop_ms: float = Field(default=10.0, ge=1, le=50)
    log_floor: float = Field(default=1e-6, gt=0, lt=1)
    """Added to the mel power before the logarithm."""
    normalisation: Literal["fixed", "level", "mean", "instance"] = "mean"
    """fixed: (x + 3) / 4, the same for every utterance. level: the utterance's mean over bands and
    time is removed. mean: each band's mean over time is removed. instance: each band's mean and
    deviation over time are removed."""


class RawWaveform(Part):
    """The waveform itself, as the log's networks take it."""

    kind: Literal["raw_waveform"] = "raw_waveform"
    normalisation: Literal["fixed", "level", "mean", "instance"] = "level"
    """fixed: as it is. level: divided by the crop's peak. mean: its mean removed. instance: its
    mean removed and divided by its deviation."""


# --- encoders --------------------------------------------------------------------------------


class ResNetSE34L(Part):
    """ResNet with squeeze-and-excitation on log-mels, frequency averaged away (Chung et al. 2020).

    The defaults are voxceleb_trainer's "fast ResNet-34"; any widths and depths are allowed.
    """

    kind: Literal["resnet_se_34l"] = "resnet_se_34l"
    features: LogMel = LogMel(normalisation="instance")
    channels: tuple[int, ...] = (16, 32, 64, 128)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    pooling: Literal["sap", "asp"] = "sap"
    embedding_dim: int = Field(default=512, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer."""

    @model_validator(mode="after")
    def _stages_agree(self) -> "ResNetSE34L":
        if len(self.channels) != 4 or len(self.blocks) != 4:
            raise ValueError(
                "encoder.channels and encoder.blocks need one number for each of the 4 stages, "
                f"got {len(self.channels)} and {len(self.blocks)}"
            )
        if min(self.channels) < 8 or min(self.blocks) < 1:
            raise ValueError(
                "encoder.channels must be at least 8 (the squeeze divides by 8) and encoder.blocks "
                f"at least 1, got {self.channels} and {self.blocks}"
            )
        return self


class TDNN(Part):
    """Time-delay network in the manner of the x-vector (Snyder et al. 2018), with residual layers.

    Conv k5, then one residual k3 layer per dilation, the outputs of all of them side by side, a
    1x1 convolution to `expansion * channels`, pooling over time, BatchNorm, dense, BatchNorm.
    """

    kind: Literal["tdnn"] = "tdnn"
    features: LogMel = LogMel(normalisation="fixed", log_floor=1e-5)
    channels: int = Field(default=96, ge=8, le=2048)
    dilations: tuple[int, ...] = (2, 3, 4)
    expansion: int = Field(default=3, ge=1, le=8)
    pooling: Literal["statistics", "asp"] = "statistics"
    embedding_dim: int = Field(default=128, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """After pooling, before the dense layer."""

    @model_validator(mode="after")
    def _has_layers(self) -> "TDNN":
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"encoder.dilations needs positive dilations, got {self.dilations}")
        return self


class LogNet(Part):
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
    resblock_norm: Literal["batch", "none"] = "batch"
    eblock_norm: Literal["batch", "none"] = "none"
    se_resblock: bool = True
    se_eblock: bool = True
    se_first_conv: bool = False
    global_pooling: Literal["average", "max"] = "average"
    dense: tuple[int, ...] = (512, 512)
    """Widths of the FCBlock's dense layers."""
    dense_skip: bool = True
    """Whether the FCBlock's input is added to its output, through a dense layer without bias where
    their widths differ (in the log's entries they never do)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer: the OutBlock's, or the FCBlock's where there is no OutBlock."""
    out_dim: int | None = Field(default=None, ge=2, le=4096)
    """Width of the OutBlock, which then is the embedding; None: the FCBlock is the embedding."""
    embedding_norm: Literal["none", "batch", "layer", "l2"] = "none"

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
        if self.merge == "add" and self.order != "O1":
            raise ValueError(
                f'encoder.order must be "O1" with encoder.merge="add", got "{self.order}"'
            )
        return self


Encoder = Annotated[ResNetSE34L | TDNN | LogNet, Field(discriminator="kind")]


# --- losses ----------------------------------------------------------------------------------


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


# --- data ------------------------------------------------------------------------------------


class Batches(Part):
    """P speakers x K utterances, a random crop of each."""

    speakers: int = Field(default=32, ge=2, le=4096)
    utterances: int = Field(default=2, ge=1, le=64)
    """Of each speaker in a batch."""
    crop_seconds: float = Field(default=1.5, ge=0.2, le=20)


class Augment(Part):
    """What a training crop may go through; each step is drawn anew for every crop.

    Order: gain, filter, room, ambience. All off by default.
    """

    gain_db: float = Field(default=0.0, ge=0, le=40)
    """Level changes uniformly within +- this."""
    filter_probability: float = Field(default=0.0, ge=0, le=1)
    filter_db: float = Field(default=8.0, ge=0, le=30)
    """The filter's 8 points between 0 and 8 kHz lie within +- this."""
    room_probability: float = Field(default=0.0, ge=0, le=1)
    noise_probability: float = Field(default=0.0, ge=0, le=1)
    snr_db_low: float = Field(default=5.0, ge=-20, le=60)
    snr_db_high: float = Field(default=20.0, ge=-20, le=60)

    @model_validator(mode="after")
    def _snr_is_a_range(self) -> "Augment":
        if self.snr_db_low > self.snr_db_high:
            raise ValueError(
                "augment.snr_db_low must not exceed augment.snr_db_high, got "
                f"{self.snr_db_low} and {self.snr_db_high}"
            )
        return self


# --- optimisation ----------------------------------------------------------------------------


class Adam(Part):
    """Adam; `l2` is added to the gradient, not decoupled (Kingma & Ba 2015)."""

    kind: Literal["adam"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    l2: float = Field(default=0.0, ge=0, le=1)


class AdamW(Part):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    weight_decay: float = Field(default=0.05, ge=0, le=10)


Optimiser = Annotated[Adam | AdamW, Field(discriminator="kind")]


class Constant(Part):
    """The learning rate as it is, after a linear warm-up."""

    kind: Literal["constant"] = "constant"
    warmup_epochs: float = Field(default=0.0, ge=0, le=100)


class Cosine(Part):
    """One cosine from full rate to zero over `epochs`, after a linear warm-up; then zero."""

    kind: Literal["cosine"] = "cosine"
    epochs: int = Field(default=27, ge=1, le=100_000)
    warmup_epochs: float = Field(default=1.0, ge=0, le=100)

    @model_validator(mode="after")
    def _warm_up_ends(self) -> "Cosine":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                "schedule.warmup_epochs must be below schedule.epochs, got "
                f"{self.warmup_epochs} and {self.epochs}"
            )
        return self


class CosineRestarts(Part):
    """Cosine cycles with warm restarts (Loshchilov & Hutter 2017, SGDR).

    Cycles end at `first_epochs * growth**k`: 1, 3, 9, 27 by default, so that every rung of a
    search judges a network at the end of a cycle, and a search can be extended to the next one.
    """

    kind: Literal["cosine_restarts"] = "cosine_restarts"
    first_epochs: int = Field(default=1, ge=1, le=1000)
    growth: int = Field(default=3, ge=2, le=10)
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Of each cycle."""
    floor: float = Field(default=0.01, ge=0, lt=1)
    """The rate at a cycle's end, as a fraction of the full one."""


Schedule = Annotated[Constant | Cosine | CosineRestarts, Field(discriminator="kind")]


# --- the whole -------------------------------------------------------------------------------

_NEEDS_PAIRS_OF_ONE_SPEAKER = ("triplet", "combined", "angular_prototypical")


class TrainConfig(Part):
    """All that decides what one training learns, apart from the corpus."""

    encoder: Encoder = TDNN()
    loss: Loss = AAMSoftmax()
    batches: Batches = Batches()
    augment: Augment = Augment()
    optimiser: Optimiser = AdamW()
    schedule: Schedule = CosineRestarts()
    gradient_clip: float = Field(default=5.0, gt=0)
    """Largest norm of the gradient of all weights together."""
    seed: int = Field(default=0, ge=0, lt=2**31)

    @property
    def signature(self) -> str:
        """Eight hex digits of the canonical JSON."""
        canonical = json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @model_validator(mode="after")
    def _loss_has_its_utterances(self) -> "TrainConfig":
        if self.loss.kind in _NEEDS_PAIRS_OF_ONE_SPEAKER and self.batches.utterances < 2:
            raise ValueError(
                f"batches.utterances must be at least 2 for loss.kind={self.loss.kind!r} (it "
                f"compares utterances of one speaker), got {self.batches.utterances}"
            )
        return self

    def check_corpus(self, speakers: int, utterances_of_most: int) -> None:
        """Refuse what this corpus cannot feed.

        Args:
            speakers: number of training speakers.
            utterances_of_most: the P-th largest number of utterances a speaker has, P being
                `batches.speakers` (0 when there are fewer speakers).

        Raises:
            ValueError: naming the field and the remedy.
        """
        if self.batches.speakers > speakers:
            raise ValueError(
                f"batches.speakers={self.batches.speakers} is more than the {speakers} speakers of "
                f"the training list; set it to {speakers} or less"
            )
        if self.batches.utterances > utterances_of_most:
            raise ValueError(
                f"batches.utterances={self.batches.utterances}, but only few training speakers "
                f"have that many: {self.batches.speakers} have {utterances_of_most} or more; "
                f"set it to {utterances_of_most} or less"
            )
