"""Translate voxceleb_trainer's names of weights into ours, network by network."""

import re
from collections.abc import Iterator, Mapping
from itertools import accumulate

from torch import Tensor

from spkmodel.config import Encoder, RawNet3, ResNetSE34Half, ResNetSE34L, ResNetSE34V2, VGGVox

_IN_BLOCK = {
    "conv1": "residual.0",
    "bn1": "residual.2",
    "conv2": "residual.3",
    "bn2": "residual.4",
    "se.fc.0": "residual.5.squeeze",
    "se.fc.2": "residual.5.excite",
    "downsample.0": "shortcut.0",
    "downsample.1": "shortcut.1",
}
_ATTENTION = {
    "sap_linear": "pool.attention.hidden",
    "attention": "pool.attention.direction",
    "fc": "head.1",
}
_SCORES = {f"attention.{n}": f"pool.attention.scores.{n}" for n in (0, 2, 3)}
_RES2_BLOCK = {
    "conv1": "expand.0",
    "bn1": "expand.2",
    "conv3": "merge.0",
    "bn3": "merge.2",
    "residual.0": "shortcut.0",
    "afms.fc": "scaling.gate",
}
_CONSTANT = re.compile(r"torchfb\..*|preprocess\.0\.flipped_filter|conv1\.filterbank\.(window|n)_")
"""Names of weights that are not learned, and that are computed here."""


def rename_weights(
    weights: Mapping[str, Tensor], config: Encoder
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights as the encoder of `config` names and shapes them, and unknown names.

    Args:
        weights: by the trainer's names, without prefix.
        config: of the same network.
    """
    table = dict(_iterate_table(config))
    placed: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, tensor in weights.items():
        if _CONSTANT.fullmatch(name):
            continue
        ours = _translate(name, table)
        if ours is None:
            unknown.append(name)
        else:
            # A dense layer over frames is a convolution of width 1 here.
            wide = ours == "pool.attention.hidden.weight"
            placed[ours] = tensor.unsqueeze(2) if wide else tensor
    return placed, unknown


def _translate(name: str, table: Mapping[str, str]) -> str | None:
    """Return our name from the table's entry for the whole name, or for all but its last part."""
    if name in table:
        return table[name]
    layer, _, leaf = name.rpartition(".")
    return f"{table[layer]}.{leaf}" if layer in table else None


def _iterate_table(config: Encoder) -> Iterator[tuple[str, str]]:
    """Yield the trainer's and our name of each layer, or of a single weight."""
    match config:
        case ResNetSE34L() | ResNetSE34Half():
            yield from {"conv1": "stem.0", "bn1": "stem.1", **_ATTENTION}.items()
            yield from _iterate_blocks(config.blocks)
        case ResNetSE34V2():
            yield from {"conv1": "stem.0", "bn1": "stem.2", "fc": "head.1", **_SCORES}.items()
            yield from _iterate_blocks(config.blocks)
        case VGGVox():
            yield from _ATTENTION.items()
            for place in (0, 1, 4, 5, 8, 9, 11, 12, 14, 15, 18, 19):
                yield f"netcnn.{place}", f"convolutions.{place}"
        case RawNet3():
            yield from _iterate_rawnet3(config.scale)
        case _:
            raise AssertionError(config.kind)


def _iterate_blocks(blocks: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    starts = accumulate(blocks, initial=0)
    for stage, (first, count) in enumerate(zip(starts, blocks, strict=False), 1):
        for block in range(count):
            for theirs, ours in _IN_BLOCK.items():
                yield f"layer{stage}.{block}.{theirs}", f"stages.{first + block}.{ours}"


def _iterate_rawnet3(scale: int) -> Iterator[tuple[str, str]]:
    yield "preprocess.1", "front_end.norm"
    yield "conv1.filterbank.low_hz_", "front_end.filters.low_hz"
    yield "conv1.filterbank.band_hz_", "front_end.filters.band_hz"
    yield from {"bn1": "idle.0", "bn6": "idle.1", "layer4": "summary.0"}.items()
    yield from {"bn5": "head.0", "fc6": "head.2"}.items()
    for theirs, ours in ((0, 1), (2, 3), (3, 4)):  # the context stands first in ours
        yield f"attention.{theirs}", f"pool.attention.scores.{ours}"
    for layer in (1, 2, 3):
        for their_layer, our_layer in _RES2_BLOCK.items():
            yield f"layer{layer}.{their_layer}", f"blocks.{layer - 1}.{our_layer}"
        yield f"layer{layer}.afms.alpha", f"blocks.{layer - 1}.scaling.offset"
        for group in range(scale - 1):
            yield f"layer{layer}.convs.{group}", f"blocks.{layer - 1}.groups.{group}.0"
            yield f"layer{layer}.bns.{group}", f"blocks.{layer - 1}.groups.{group}.2"
