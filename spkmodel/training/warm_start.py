"""Start a training from the weights of another one, as far as they fit."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spkmodel import losses
from spkmodel.config import Encoder, Loss, TrainConfig
from spkmodel.core import checkpoint
from spkmodel.nn import encoders


def check(config: TrainConfig, saved: TrainConfig) -> None:
    """Raise an error if the checkpoint's encoder has another shape.

    Args:
        config: with a `warm_start`.
        saved: that of the checkpoint.

    Raises:
        ValueError: naming the fields that differ, and the remedy.
    """
    assert config.warm_start is not None
    fresh = config.warm_start.fresh
    wanted, found = _shapes(config.encoder), _shapes(saved.encoder)
    for part in fresh:
        if not any(_is_below(name, part) for name in wanted):
            known = ", ".join(sorted({name.partition(".")[0] for name in wanted}))
            raise ValueError(
                f"warm_start.fresh names {part!r}, but no weight of the encoder begins so; "
                f"its parts are {known}"
            )
    differing = [
        name
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name) and not any(_is_below(name, part) for part in fresh)
    ]
    if differing:
        parts = sorted({name.partition(".")[0] for name in differing})
        raise ValueError(
            f"warm_start.weights={config.warm_start.weights!r} has another shape: "
            f"{_differences(config.encoder, saved.encoder)} (first of {len(differing)} weights: "
            f"{differing[0]} {_format_shape(wanted.get(differing[0]))}, the checkpoint's "
            f"{_format_shape(found.get(differing[0]))}); make the encoders alike, or let what "
            f"differs start anew with warm_start.fresh={tuple(parts)}"
        )


def apply(
    saved: checkpoint.Checkpoint,
    config: TrainConfig,
    encoder: nn.Module,
    loss: nn.Module,
    speakers: Sequence[str],
) -> str:
    """Load the weights to be taken into encoder and loss; return a description of them.

    Raises:
        checkpoint.CheckpointError: if the encoder has another shape.
    """
    assert config.warm_start is not None
    its = TrainConfig.model_validate(saved.state["config"])
    try:
        check(config, its)
    except ValueError as error:
        raise checkpoint.CheckpointError(str(error)) from error
    own, constants = encoder.state_dict(), _constants(encoder, its.encoder)
    taken = {
        name: tensor
        for name, tensor in saved.below("encoder").items()
        if name not in constants
        and not any(_is_below(name, part) for part in config.warm_start.fresh)
    }
    encoder.load_state_dict(own | taken)
    anew = len(own) - len(taken) - len(constants)
    words = f"encoder: {len(taken)} weights taken" + (f", {anew} anew" if anew else "")
    head = _take_head(saved, its, config, loss, speakers)
    return f"{words}; {head}"


# --- the encoder ------------------------------------------------------------------------------


def _shapes(config: Encoder) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights, and the names of the buffers.

    Where a norm gives way to another with the same weights, only its statistics show it. Their
    shapes are those of weights, and a window's may differ: it is never taken.
    """
    # On the meta device nothing is allocated: only shapes are asked for.
    with torch.device("meta"):
        encoder = encoders.build(config)
    weights = {name: tuple(weight.shape) for name, weight in encoder.named_parameters()}
    return weights | {name: () for name, _ in encoder.named_buffers()}


def _constants(encoder: nn.Module, saved: Encoder) -> set[str]:
    """Return the buffers that follow from the config and are never trained, such as a window.

    They are those in which two encoders fresh from their configs differ; what they have in common
    at first, such as running statistics, is learned.
    """
    # Forked: building draws weights, which must not shift this training's generator.
    with torch.random.fork_rng():
        its = dict(encoders.build(saved).named_buffers())
    return {
        name
        for name, buffer in encoder.named_buffers()
        if name not in its or not torch.equal(buffer.cpu(), its[name])
    }


def _differences(encoder: Encoder, saved: Encoder) -> str:
    """Describe the differing fields that decide shapes, or all differing ones if none does."""
    if encoder.kind != saved.kind:
        return f"encoder.kind is {encoder.kind!r}, the checkpoint's {saved.kind!r}"
    own, its = encoder.model_dump(), saved.model_dump()
    fields = [field for field in own if own[field] != its[field]]
    shaping = [field for field in fields if _shapes_differ(encoder, {field: its[field]})]
    return "; ".join(
        f"encoder.{name} is {a!r}, the checkpoint's {b!r}"
        for field in shaping or fields
        for name, a, b in _leaves(field, own[field], its[field])
    )


def _shapes_differ(encoder: Encoder, changed: dict[str, Any]) -> bool:
    try:
        other = type(encoder).model_validate(encoder.model_dump() | changed)
    except ValueError:
        return True
    return _shapes(other) != _shapes(encoder)


def _leaves(name: str, own: Any, its: Any) -> list[tuple[str, Any, Any]]:
    """List where two values differ: inside a part of the config, its fields."""
    if isinstance(own, dict) and isinstance(its, dict) and own.keys() == its.keys():
        return [(f"{name}.{key}", own[key], its[key]) for key in own if own[key] != its[key]]
    return [(name, own, its)]


def _format_shape(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else "x".join(map(str, shape)) or "one number"


# --- the loss's own weights -------------------------------------------------------------------


def _take_head(
    saved: checkpoint.Checkpoint,
    its: TrainConfig,
    config: TrainConfig,
    loss: nn.Module,
    speakers: Sequence[str],
) -> str:
    own, tensors = loss.state_dict(), saved.below("loss")
    if not own:
        return "the loss has no weights"
    if its.loss.kind != config.loss.kind:
        return f"loss anew: {config.loss.kind}, the checkpoint's is {its.loss.kind}"
    classes = _classes(config, speakers)
    known = _classes(its, saved.state["speakers"])
    if known == classes and _same_shapes(own, tensors):
        loss.load_state_dict(tensors)
        return f"loss: all weights taken, {len(known)} classes"
    axes = _class_axes(config.loss, config.encoder.embedding_dim, len(classes))
    there_of = {name: index for index, name in enumerate(known)}
    shared = [index for index, name in enumerate(classes) if name in there_of]
    if not shared or not _same_but_for_classes(own, tensors, axes):
        why = "no speaker in common" if not shared else "its weights have other shapes"
        return f"loss anew: {why}"
    here = torch.tensor(shared)
    there = torch.tensor([there_of[classes[index]] for index in shared])
    for name, tensor in own.items():
        if name in axes:
            rows = tensors[name].index_select(axes[name], there).to(tensor.device)
            tensor.index_copy_(axes[name], here.to(tensor.device), rows)
        else:
            tensor.copy_(tensors[name])
    return f"loss: weights of {len(shared)} of {len(classes)} classes taken, the others anew"


def _classes(config: TrainConfig, speakers: Sequence[str]) -> list[tuple[float, str]]:
    """List the classes of the loss: a speaker at a speed each."""
    speed = config.augment.speed
    rates = speed.ordered if speed is not None and speed.new_speakers else (1.0,)
    return [(rate, speaker) for rate in rates for speaker in speakers]


def _class_axes(loss: Loss, embedding_dim: int, classes: int) -> dict[str, int]:
    """Return the weights with one entry for each class, and its dimension."""
    # One class more: the dimension that grows is that of the classes.
    with torch.device("meta"):
        state, larger = (
            losses.build(loss, embedding_dim=embedding_dim, speakers=count).state_dict()
            for count in (classes, classes + 1)
        )
    axes: dict[str, int] = {}
    for name, tensor in state.items():
        for axis, (size, other) in enumerate(zip(tensor.shape, larger[name].shape, strict=True)):
            if other == size + 1:
                axes[name] = axis
    return axes


def _same_shapes(own: Mapping[str, Tensor], its: Mapping[str, Tensor]) -> bool:
    return own.keys() == its.keys() and all(own[name].shape == its[name].shape for name in own)


def _same_but_for_classes(
    own: Mapping[str, Tensor], its: Mapping[str, Tensor], axes: Mapping[str, int]
) -> bool:
    if own.keys() != its.keys():
        return False
    for name, tensor in own.items():
        ours, theirs = list(tensor.shape), list(its[name].shape)
        if len(ours) != len(theirs):
            return False
        if name in axes:
            ours[axes[name]] = theirs[axes[name]] = 0
        if ours != theirs:
            return False
    return True


def _is_below(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")
