"""List the weights of published networks and golden features, for `bench.parity` and the tests.

A new network is one `Row`. Weights of the lab's networks are counted in clovaai/voxceleb_trainer;
those of the log's are derived from its entries; the field's are WeSpeaker's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spkmodel import config as c
from spkmodel import losses
from spkmodel.nn import encoders

VOX2_SPEAKERS = 5_994


@dataclass(frozen=True)
class Row:
    """One network: its config, and its numbers of weights (None: not published)."""

    name: str
    encoder: c.Encoder
    encoder_weights: int | None = None
    loss: c.Loss | None = None
    """Whose weights are the head."""
    speakers: int = VOX2_SPEAKERS
    total: int | None = None
    """Encoder and head."""

    def count_encoder(self) -> int:
        return encoders.parameter_count(self.encoder)

    def count_head(self) -> int:
        if self.loss is None:
            return 0
        with torch.device("meta"):
            head = losses.build(self.loss, self.encoder.embedding_dim, self.speakers)
        return sum(weights.numel() for weights in head.parameters())

    def mismatches(self) -> list[str]:
        """Return the counted and the published numbers where they differ."""
        encoder, head = self.count_encoder(), self.count_head()
        pairs = [("encoder", encoder, self.encoder_weights), ("total", encoder + head, self.total)]
        return [
            f"{self.name}: {what} has {counted:,} weights, not {known:,}"
            for what, counted, known in pairs
            if known is not None and counted != known
        ]


# --- the lab's trainer -----------------------------------------------------------------------


def _mels(mels: int, pre_emphasis: float = 0.0) -> c.LogMel:
    return c.LogMel(mels=mels, normalisation="instance", pre_emphasis=pre_emphasis)


def _v2(mels: int, pooling: str) -> c.ResNetSE34V2:
    return c.ResNetSE34V2.model_validate({"features": _mels(mels, 0.97), "pooling": pooling})


_SOFTMAX_PROTO = c.Combined(
    terms=(c.Weighted(loss=c.Softmax()), c.Weighted(loss=c.AngularPrototypical()))
)
LAB = (
    Row(
        "ResNetSE34L SAP, AngleProto",
        c.ResNetSE34L(),
        encoder_weights=1_437_078,
        loss=c.AngularPrototypical(),
        total=1_437_080,
    ),
    Row("ResNetSE34L SAP, 64 mels", c.ResNetSE34L(features=_mels(64)), 1_437_078),
    Row("ResNetSE34L SAP, 256-d", c.ResNetSE34L(embedding_dim=256), 1_404_054),
    Row("ResNetSE34L ASP", c.ResNetSE34L(pooling="asp"), 1_502_614),
    Row("ResNetSE34Half SAP", c.ResNetSE34Half(), 5_602_988),
    Row("ResNetSE34Half ASP", c.ResNetSE34Half(pooling="asp"), 5_734_060),
    Row("ResNetSE34V2 SAP, 40 mels", _v2(40, "sap"), 6_389_324),
    Row("ResNetSE34V2 SAP, 64 mels", _v2(64, "sap"), 6_979_916),
    Row("ResNetSE34V2 SAP, 80 mels", _v2(80, "sap"), 7_373_644),
    Row("ResNetSE34V2 ASP, 40 mels", _v2(40, "asp"), 7_044_684),
    Row(
        "ResNetSE34V2 ASP, 64 mels, softmax + AngleProto",
        _v2(64, "asp"),
        encoder_weights=8_028_492,
        loss=_SOFTMAX_PROTO,
        total=11_103_416,
    ),
    Row("ResNetSE34V2 ASP, 80 mels", _v2(80, "asp"), 8_684_364),
    Row("VGGVox SAP", c.VGGVox(pooling="sap"), 4_032_448),
    Row("VGGVox TAP", c.VGGVox(pooling="mean"), 3_769_280),
    Row("VGGVox MAX", c.VGGVox(pooling="max"), 3_769_280),
    Row("VGGVox SAP, 1024-d", c.VGGVox(pooling="sap", embedding_dim=1024), 4_295_104),
    Row("VGGVox TAP, 1024-d", c.VGGVox(pooling="mean", embedding_dim=1024), 4_031_936),
    Row("VGGVox MAX, 1024-d", c.VGGVox(pooling="max", embedding_dim=1024), 4_031_936),
    Row("RawNet3 ECA", c.RawNet3(pooling="eca"), 16_280_322),
    Row("RawNet3 ASP", c.RawNet3(pooling="asp"), 16_082_307),
)

# --- the log ---------------------------------------------------------------------------------

MODEL1 = c.LogNet(
    merge="add",
    bottleneck=False,
    in_channels=16,
    in_kernel=3,
    in_resblock=True,
    channels=(22, 32, 45, 64, 90, 128, 180, 256, 360, 512),
    resblocks=(1,) * 10,
    kernel=4,
    activation="relu",
    se_resblock=False,
    se_eblock=False,
)
MODEL2 = c.LogNet(
    in_resblock=True,
    channels=(16, 16, 32, 32, *(64,) * 6),
    resblocks=(1,) * 10,
    kernel=4,
    activation="relu",
)
_WIDER = {
    "kernel": 3,
    "in_channels": 64,
    "channels": (32, 32, *(48,) * 8),
    "activation": "swish",
}
_BLOCKS = (0, 1, 1, 2, 2, 2, 3, 3, 3, 3)
_SQUEEZED = {"se_resblock": True, "se_eblock": True}
_NORMLESS = {"resblock_norm": "none"}
_DENSE = c.Softmax()


def altered(config: c.LogNet, **fields: object) -> c.LogNet:
    """Return the config with other fields, validated anew."""
    return c.LogNet.model_validate(config.model_dump() | fields)


def _classifier(
    entry: str,
    config: c.LogNet,
    changes: Mapping[str, object],
    total: int,
    speakers: int = 256,
    encoder_weights: int | None = None,
    head: c.Softmax = _DENSE,
) -> Row:
    """Return a row for an entry whose OutBlock is its speakers: a softmax has the same weights."""
    encoder = altered(config, **changes)
    return Row(f"log {entry}", encoder, encoder_weights, head, speakers, total)


def _many_speakers(entry: str, total: int, head: c.Softmax = _DENSE) -> Row:
    """Return a row for an entry from 112 on: OutBlock is the speakers, FCBlock the embedding."""
    return _classifier(entry, c.LogNet(), {}, total, VOX2_SPEAKERS, 1_250_128, head)


def _embedder(entry: str, config: c.LogNet, changes: dict[str, object], weights: int) -> Row:
    """Return a row for an entry from 100 to 111: its OutBlock is the embedding."""
    return Row(f"log {entry}", altered(config, **changes), weights, total=weights)


# Of 14 the log leaves open which convolutions are wider, of 34 to 36 what the norms hold: counted
# as built here, kernels of 7 in InBlock and EBlocks and norms with an offset and no scale, which
# in 35 stands for the bias of the 1x1 convolution. 01.1 is 01.2 with biases instead of norms.
LOG = (
    _classifier(
        "01.1", MODEL1, {"resblock_norm": "none", "skip": False, "dense_skip": False}, 5_267_121
    ),
    _classifier(
        "01.2",
        MODEL1,
        {"eblock_norm": "batch", "skip": False, "dense_skip": False},
        5_268_826,
        encoder_weights=5_137_498,
    ),
    _classifier("02.1", MODEL1, {"eblock_norm": "batch", "dense_skip": False}, 5_268_826),
    _classifier("02.2", MODEL1, {"dense_skip": False}, 5_268_826),
    _classifier("03", MODEL1, {}, 5_268_826),
    _classifier("04", MODEL1, {"skip_pooling": "max"}, 5_268_826),
    _classifier("06", MODEL1, {"dropout": 0.5}, 5_268_826),
    _classifier("07", MODEL1, {"dense": (512,)}, 5_006_170),
    _classifier("08", MODEL1, {"dense": (1024, 512)}, 5_793_626),
    _classifier("09", MODEL1, {"se_resblock": True}, 6_316_334),
    _classifier("10", MODEL1, _SQUEEZED, 7_363_298),
    _classifier("11", MODEL1, _SQUEEZED | {"se_first_conv": True}, 8_410_262),
    _classifier("14", MODEL1, _SQUEEZED | {"in_kernel": 7, "kernel": 7}, 8_468_130),
    _classifier("15", MODEL2, {}, 1_166_464, encoder_weights=1_035_136),
    _classifier("16", MODEL2, {"kernel": 3}, 1_139_328),
    _classifier("17", MODEL2, {"kernel": 3, "bottleneck": False}, 1_291_424),
    _classifier("19", MODEL2, _WIDER | {"activation": "relu"}, 1_079_296),
    _classifier("20", MODEL2, _WIDER, 1_079_296),
    _classifier("26", MODEL2, _WIDER | {"in_resblock": False, "order": "O3"}, 1_046_208),
    _classifier(
        "27",
        MODEL2,
        _WIDER | {"in_resblock": False, "order": "O3", "resblocks": _BLOCKS},
        1_243_248,
    ),
    _classifier(
        "28",
        c.LogNet(),
        {"channels": (16, 32, 32, 48, 48, 48, *(64,) * 4), "order": "O3"},
        1_430_368,
    ),
    _classifier("29", c.LogNet(), {"order": "O3"}, 1_381_456),
    _classifier(
        "30",
        c.LogNet(),
        {"order": "O3"},
        1_512_784,
        speakers=512,
        head=c.Softmax(head="act_dense", head_activation="swish", head_dropout=0.5),
    ),
    _classifier(
        "34",
        c.LogNet(),
        {"eblock_norm": "batch", "eblock_norm_place": "first"},
        1_514_928,
        speakers=512,
    ),
    _classifier(
        "35",
        c.LogNet(),
        {"eblock_norm": "batch", "eblock_norm_place": "between"},
        1_512_784,
        speakers=512,
    ),
    _classifier("36", c.LogNet(), {"resblock_norm": "batch_renorm"}, 1_512_784, speakers=512),
    _classifier("38", c.LogNet(), _NORMLESS, 1_511_712, speakers=512),
    _embedder(
        "101",
        c.LogNet(channels=(32,) * 7, resblocks=(0, 1, 1, 2, 2, 3, 3), dense=(256, 256)),
        _NORMLESS | {"out_dim": 128},
        328_928,
    ),
    _embedder("103", c.LogNet(), _NORMLESS | {"out_dim": 256}, 1_380_384),
    _embedder("106", c.LogNet(), _NORMLESS | {"out_dim": 64}, 1_281_888),
    _many_speakers("113", 4_325_050, c.Softmax(head="act_dense", head_activation="swish")),
    _many_speakers(
        "114", 4_587_706, c.Softmax(head="act_dense_act_dense", head_activation="swish")
    ),
    _many_speakers("115", 4_587_706, c.Softmax(head="dense_act_dense", head_activation="swish")),
    _many_speakers("116", 4_325_050),
    _many_speakers("118", 4_325_050, c.Softmax(head_dropout=0.9)),
)

# --- the field -------------------------------------------------------------------------------

FIELD = (
    Row("ECAPA-TDNN 512", c.ECAPATDNN(), 6_190_720),
    Row("ECAPA-TDNN 512, BatchNorm at its end", c.ECAPATDNN(embedding_norm="batch"), 6_191_104),
    Row("ECAPA-TDNN 512, inputs summed", c.ECAPATDNN(sum_inputs=True), 6_190_720),
    Row("ECAPA-TDNN 1024", c.ECAPATDNN(channels=1024), 14_657_088),
    Row("x-vector", c.XVector(), 4_610_524),
    Row("x-vector, 24 mels", c.XVector(features=c.LogMel(mels=24)), 4_467_164),
    Row("ResNet-34", c.ResNet34(), 6_634_336),
    Row("CAM++", c.CAMPlusPlus(), 7_176_224),
    Row("CAM++, 192-d", c.CAMPlusPlus(embedding_dim=192), 6_848_544),
)

ROWS = LAB + LOG + FIELD

# --- golden values of the front end ------------------------------------------------------------

GOLDEN_SAMPLES = 32_240
MEL_SUMS = {40: 1_068_471.36, 64: 1_068_488.42, 80: 1_068_488.46}
"""By number of bands, the sum of the mel power of `tones(GOLDEN_SAMPLES)`."""
MEL_SUM_TOLERANCE = 2e-6
"""Of the sum; transforms on other hardware add up in another order."""
PRE_EMPHASIS = 0.97
EMPHASISED = (-0.128573, 0.132549, 0.123238)
"""The first values of the same tones, pre-emphasised."""
EMPHASISED_TOLERANCE = 1e-6


def tones(samples: int) -> Tensor:
    """Return (1, samples) of 440 and 1234 Hz at 0.5 and 0.1, in float32."""
    time = torch.arange(samples, dtype=torch.float64) / 16_000
    wave = 0.5 * torch.sin(2 * math.pi * 440 * time) + 0.1 * torch.sin(2 * math.pi * 1234 * time)
    return wave.float().unsqueeze(0)
