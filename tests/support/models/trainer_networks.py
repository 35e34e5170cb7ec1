"""The networks of voxceleb_trainer, small enough for a test, with every pooling."""

from spkmodel.config import (
    LinearMel,
    LogMel,
    MultiHead,
    RawNet3,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    VGGVox,
)

RESNET = {"channels": (8,) * 4, "blocks": (1,) * 4, "embedding_dim": 16}
V2 = RESNET | {"attention_dim": 8}
VGG = {"channels": (8,) * 6, "embedding_dim": 16}
RAW = {"channels": 16, "summary_dim": 12, "attention_dim": 8, "embedding_dim": 16}

SMALL = {
    "resnet_sap": ResNetSE34L(**RESNET),
    "resnet_asp": ResNetSE34L(**RESNET, pooling="asp", dropout=0.2),
    "resnet_linear_mels": ResNetSE34L(**RESNET, features=LinearMel()),
    "resnet_half": ResNetSE34Half(**RESNET),
    "resnet_v2_sap": ResNetSE34V2(**V2, pooling="sap"),
    "resnet_v2_asp": ResNetSE34V2(
        **V2,
        pooling="asp",
        dropout=0.2,
        features=LogMel(mels=24, normalisation="instance", pre_emphasis=0.97),
    ),
    "vgg_vox_sap": VGGVox(**VGG, pooling="sap"),
    "vgg_vox_tap": VGGVox(**VGG, pooling="mean", dropout=0.2),
    "vgg_vox_max": VGGVox(**VGG, pooling="max"),
    "raw_net3_eca": RawNet3(**RAW, scale=4, pooling="eca"),
    "raw_net3_asp": RawNet3(**RAW, scale=2, pooling="asp", dropout=0.2, sinc_stride=16),
}
POOLINGS = {
    name: ResNetSE34L(**RESNET, pooling=name)
    for name in ("mean", "max", "statistics", "channel_sap", "channel_asp", "context_asp")
} | {
    "heads": ResNetSE34L(**RESNET, pooling=MultiHead(heads=4)),
    "heads_with_deviation": ResNetSE34L(**RESNET, pooling=MultiHead(heads=2, deviation=True)),
}
