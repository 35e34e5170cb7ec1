"""Build the log's own network on the raw waveform, with every option that its entries varied."""

from collections.abc import Callable
from typing import Literal, assert_never

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import LogNet
from spkmodel.nn import features
from spkmodel.nn.encoders import norms
from spkmodel.nn.encoders.log_net_blocks import (
    EBlock,
    FCBlock,
    ResBlock,
    SameConv,
    UnitLength,
    WidenChannels,
)
from spkmodel.nn.encoders.squeeze import SqueezeExcitation

Activation = Callable[[], nn.Module]

_RES_KERNEL = 3


def build(config: LogNet) -> "LogNetEncoder":
    """Build the network of a config, with freshly drawn weights."""
    activation = _activation(config.activation)
    encoder = LogNetEncoder(
        front_end=features.build(config.waveform),
        in_block=_in_block(config, activation),
        eblocks=nn.Sequential(*_eblocks(config, activation)),
        global_pooling=config.global_pooling,
        fc_block=_fc_block(config, activation),
        out_block=_out_block(config, activation),
        embedding_norm=_embedding_norm(config.embedding_norm, config.embedding_dim),
    )
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            # torch's own default shrinks the signal even more than "lecun" does.
            gain: Literal["relu", "linear"] = "relu" if config.init == "he" else "linear"
            nn.init.kaiming_normal_(module.weight, nonlinearity=gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return encoder


class LogNetEncoder(nn.Module):
    """InBlock, EBlocks, pooling over time, FCBlock, OutBlock where there is one, norm."""

    def __init__(
        self,
        front_end: nn.Module,
        in_block: nn.Module,
        eblocks: nn.Module,
        global_pooling: Literal["average", "max"],
        fc_block: nn.Module,
        out_block: nn.Module,
        embedding_norm: nn.Module,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.in_block = in_block
        self.eblocks = eblocks
        self.global_pooling = global_pooling
        self.fc_block = fc_block
        self.out_block = out_block
        self.embedding_norm = embedding_norm

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        maps = self.in_block(self.front_end(waveforms).unsqueeze(2))  # (batch, channels, 1, time)
        # Innermost on a CPU too: maps of one row are half as slow again otherwise, and differ by a
        # hundred-thousandth.
        maps = self.eblocks(maps.contiguous(memory_format=torch.channels_last))
        average = self.global_pooling == "average"
        pooled = maps.mean(dim=(2, 3)) if average else maps.amax(dim=(2, 3))
        return self.embedding_norm(self.out_block(self.fc_block(pooled)))


def _in_block(config: LogNet, activation: Activation) -> nn.Sequential:
    block = nn.Sequential(SameConv(1, config.in_channels, config.in_kernel))
    if config.in_resblock:
        block.append(_res_block(config, config.in_channels, activation))
    return block


def _res_block(config: LogNet, channels: int, activation: Activation) -> ResBlock:
    """Build a residual block: norm, act, conv, norm, act, conv, gate."""
    norm = config.resblock_norm
    return ResBlock(
        nn.Sequential(
            *norms.build(norm, channels, config.renorm),
            activation(),
            SameConv(channels, channels, _RES_KERNEL, bias=not norms.takes_out_the_bias(norm)),
            *norms.build(norm, channels, config.renorm),
            activation(),
            SameConv(channels, channels, _RES_KERNEL),
            *_gate(channels, config.se_resblock),
        )
    )


def _eblocks(config: LogNet, activation: Activation) -> list[EBlock]:
    blocks = []
    for channels_in, channels, resblocks, narrows in zip(
        config.eblock_inputs, config.channels, config.resblocks, config.bottlenecks, strict=True
    ):
        layers = [
            *_halving(config, activation, channels_in, channels, narrows),
            *(_res_block(config, channels, activation) for _ in range(resblocks)),
            *_gate(channels, config.se_eblock),
        ]
        shortcut = _shortcut(config, channels_in, channels) if config.skip else None
        blocks.append(EBlock(layers, shortcut, config.merge))
    return blocks


def _shortcut(config: LogNet, channels_in: int, channels: int) -> nn.Sequential:
    """Build the skip connection: half the time and, if it is added, the width of the output."""
    pool = nn.AvgPool2d if config.skip_pooling == "average" else nn.MaxPool2d
    shortcut = nn.Sequential(pool(kernel_size=(1, 2), stride=(1, 2), ceil_mode=True))
    if config.merge == "add" and channels > channels_in:
        shortcut.append(WidenChannels(channels))
    if config.merge == "add" and channels < channels_in:
        shortcut.append(SameConv(channels_in, channels, 1, bias=False))
    return shortcut


def _halving(
    config: LogNet, activation: Activation, channels_in: int, channels: int, narrows: bool
) -> list[nn.Module]:
    """Build an EBlock up to its ResBlocks: the strided convolution and the layers around it."""

    def norm(place: str, width: int) -> list[nn.Module]:
        here = place == config.eblock_norm_place
        return norms.build(config.eblock_norm, width, config.renorm) if here else []

    def biased(place: str) -> bool:
        here = place == config.eblock_norm_place
        return not (here and norms.takes_out_the_bias(config.eblock_norm))

    bottleneck = [
        SameConv(channels_in, channels, 1, bias=biased("between")),
        *norm("between", channels),
        activation(),
    ]
    return [
        *norm("first", channels_in),
        *([activation()] if config.order != "O3" else []),
        *(bottleneck if narrows else []),
        SameConv(
            channels if narrows else channels_in,
            channels,
            config.kernel,
            stride=2,
            bias=biased("after_conv"),
        ),
        *norm("after_conv", channels),
        *_gate(channels, config.se_first_conv),
        *([activation()] if config.order != "O1" else []),
    ]


def _fc_block(config: LogNet, activation: Activation) -> FCBlock:
    layers: list[nn.Module] = []
    width = config.pooled_dim
    for dim in config.dense:
        layers += [nn.Linear(width, dim), activation()]
        width = dim
    layers.pop()
    if config.out_dim is None:
        layers.insert(len(layers) - 1, nn.Dropout(config.dropout))
    if config.dense_act_first:
        layers.insert(0, activation())
    if not config.dense_skip:
        return FCBlock(layers, None)
    same = config.pooled_dim == config.dense[-1]
    return FCBlock(
        layers,
        nn.Identity() if same else nn.Linear(config.pooled_dim, config.dense[-1], bias=False),
    )


def _out_block(config: LogNet, activation: Activation) -> nn.Sequential:
    if config.out_dim is None:
        return nn.Sequential()
    return nn.Sequential(
        activation(),
        nn.Dropout(config.dropout),
        nn.Linear(config.dense[-1], config.out_dim),
    )


def _activation(name: Literal["relu", "swish"]) -> Activation:
    match name:
        case "relu":
            return nn.ReLU
        case "swish":
            return nn.SiLU
        case _:
            assert_never(name)


def _embedding_norm(norm: Literal["none", "batch", "layer", "l2"], dim: int) -> nn.Module:
    match norm:
        case "none":
            return nn.Identity()
        case "batch":
            return nn.BatchNorm1d(dim)
        case "layer":
            return nn.LayerNorm(dim)
        case "l2":
            return UnitLength()
        case _:
            assert_never(norm)


def _gate(channels: int, gated: bool) -> list[nn.Module]:
    """Build a gate; the log's gates do not squeeze: they have as many hidden units as channels."""
    return [SqueezeExcitation(channels, channels)] if gated else []
