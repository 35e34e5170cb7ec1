"""Build encoders, from waveforms to embeddings that are not length-normalised.

A new encoder is one variant in `config.Encoder`, one module here and one `case` in `build`.
"""

from typing import assert_never

import torch
from torch import nn

from spkmodel import config as c
from spkmodel.nn.encoders import (
    cam_plus_plus,
    ecapa_tdnn,
    log_net,
    raw_net3,
    resnet34,
    resnet_se,
    tdnn,
    vgg_vox,
    x_vector,
)


def build(config: c.Encoder) -> nn.Module:  # noqa: C901 - one case a network, nothing nested
    """Build the encoder of a config; its weights are drawn from torch's global generator."""
    match config:
        case c.ResNetSE34L() | c.ResNetSE34Half():
            return resnet_se.build(config)
        case c.ResNetSE34V2():
            return resnet_se.build_v2(config)
        case c.VGGVox():
            return vgg_vox.build(config)
        case c.RawNet3():
            return raw_net3.build(config)
        case c.TDNN():
            return tdnn.build(config)
        case c.LogNet():
            return log_net.build(config)
        case c.ECAPATDNN():
            return ecapa_tdnn.build(config)
        case c.XVector():
            return x_vector.build(config)
        case c.ResNet34():
            return resnet34.build(config)
        case c.CAMPlusPlus():
            return cam_plus_plus.build(config)
        case _:
            assert_never(config)


def parameter_count(config: c.Encoder) -> int:
    """Count an encoder's weights, without the loss's head; needs no memory and no generator."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in build(config).parameters())
