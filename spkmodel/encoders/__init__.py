"""Encoders: from waveforms to embeddings, their features included; not length-normalised.

A new encoder is one variant in `config.Encoder`, one module here and one `case` in `build`.
"""

from typing import assert_never

import torch
from torch import nn

from spkmodel.config import TDNN, Encoder, LogNet, ResNetSE34L
from spkmodel.encoders import log_net, resnet_se, tdnn


def build(config: Encoder) -> nn.Module:
    """The encoder of a config, its weights drawn from torch's global generator."""
    match config:
        case ResNetSE34L():
            return resnet_se.build(config)
        case TDNN():
            return tdnn.build(config)
        case LogNet():
            return log_net.build(config)
        case _:
            assert_never(config)


def parameter_count(config: Encoder) -> int:
    """Trainable weights, the loss's head not included; takes neither memory nor chance."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in build(config).parameters())
