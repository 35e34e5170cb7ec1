"""Scale an entry down: the same change, on a network and a training that a small machine affords.

At a scale of 1/4, widths are a quarter, crops and speakers a batch are a half, and all lengths of a
schedule are in proportion to the steps of the training. Everything else stays: depth, kernels,
orders, the number of utterances a speaker, learning rate, margins.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spaces.logged.notebook import NotebookError
from spkmodel.config import SGDR, ExponentialDecay, Schedule, TrainConfig

LOG_STEPS = 63_000
"""Steps that the log trains for unless an entry says otherwise: six cycles of its restarts."""

CYCLES = 3
"""Cycles of cosine restarts in a scaled training: 1 + 2 + 4 parts."""

_NAMES = {"small": 4, "full": 1}
_WIDTHS: Mapping[str, Mapping[str, int]] = {
    "log_net": {"in_channels": 2, "channels": 2, "dense": 4, "out_dim": 4},
    "tdnn": {"channels": 8, "embedding_dim": 8},
    "resnet_se_34l": {"channels": 8, "embedding_dim": 8},
    "resnet_se_34_half": {"channels": 8, "embedding_dim": 8},
    "resnet_se_34_v2": {"channels": 8, "embedding_dim": 8},
}
"""By kind of encoder: its widths, and the smallest value of each."""

_LEAST_CROP_SECONDS = 0.5
_LEAST_SPEAKERS = 4


@dataclass(frozen=True)
class Scale:
    """How far an entry is scaled down."""

    divisor: int

    def __post_init__(self) -> None:
        if self.divisor not in (1, 2, 4, 8, 16):
            raise NotebookError(
                f"--scale is full, small (1/4), 1/2, 1/4, 1/8 or 1/16, got 1/{self.divisor}"
            )

    @property
    def is_full(self) -> bool:
        return self.divisor == 1

    @property
    def text(self) -> str:
        """Return the scale for names and tables: `full`, or such as `1/4`."""
        return "full" if self.is_full else f"1/{self.divisor}"

    @property
    def description(self) -> str:
        """Return what is added to the names of scaled trials; empty at full size."""
        return "" if self.is_full else f"scaled {self.text}"


def parse_scale(text: str) -> Scale:
    """Return the scale that `small`, `full` or such as `1/4` names.

    Raises:
        NotebookError: there is no such scale; the message names all.
    """
    if text in _NAMES:
        return Scale(_NAMES[text])
    top, slash, bottom = text.partition("/")
    if top != "1" or not slash or not bottom.isdigit():
        raise NotebookError(f"--scale is full, small (1/4), 1/2, 1/4, 1/8 or 1/16, got {text!r}")
    return Scale(int(bottom))


def scale_config(config: TrainConfig, scale: Scale) -> TrainConfig:
    """Return a config that is narrower, on shorter crops of fewer speakers.

    Its schedules are as long as before: see `adapt_schedules`.

    Raises:
        NotebookError: the widths of its encoder are unknown.
    """
    if scale.is_full:
        return config
    half = max(1, scale.divisor // 2)
    batches = config.batches.model_copy(
        update={
            "crop_seconds": max(_LEAST_CROP_SECONDS, config.batches.crop_seconds / half),
            "speakers": max(_LEAST_SPEAKERS, config.batches.speakers // half),
        }
    )
    dump = config.model_dump(mode="json")
    dump["encoder"] |= _narrow(dump["encoder"], scale.divisor)
    return TrainConfig.model_validate(dump | {"batches": batches.model_dump()})


def _narrow(encoder: Mapping[str, Any], divisor: int) -> dict[str, Any]:
    kind = encoder["kind"]
    if kind not in _WIDTHS:
        raise NotebookError(
            f"encoder.kind={kind!r} cannot be scaled (can be: {', '.join(_WIDTHS)}); replay it "
            "with --scale full"
        )
    return {
        field: _divide(encoder[field], divisor, least)
        for field, least in _WIDTHS[kind].items()
        if encoder.get(field) is not None
    }


def _divide(width: Any, divisor: int, least: int) -> Any:
    if isinstance(width, list | tuple):
        return [_divide(each, divisor, least) for each in width]
    return max(least, math.floor(width / divisor + 0.5))


def adapt_schedules(config: TrainConfig, steps: int) -> TrainConfig:
    """Return a config whose schedule, weight average and Batch Renorm fit so many steps.

    Restarts end with the training; an exponential decay comes as far as it did in the log. The
    average warms up: otherwise it would consist of the first weights.
    """
    dump = config.model_dump(mode="json")
    if config.ema is not None:
        dump["ema"]["warm_up"] = True
    dump["schedule"] = _adapt_schedule(config.schedule, steps).model_dump(mode="json")
    renorm = dump["encoder"].get("renorm")
    if renorm is not None and "batch_renorm" in dump["encoder"].values():
        dump["encoder"]["renorm"] = renorm | {
            name: max(1, round(renorm[name] * steps / LOG_STEPS))
            for name in ("hold_batches", "r_batches", "d_batches")
        }
    return TrainConfig.model_validate(dump)


def _adapt_schedule(schedule: Schedule, steps: int) -> Schedule:
    match schedule:
        case SGDR():
            parts = sum(schedule.length_growth**cycle for cycle in range(CYCLES))
            return schedule.model_copy(update={"first_steps": max(1, math.ceil(steps / parts))})
        case ExponentialDecay():
            every = max(1, round(schedule.every_steps * steps / LOG_STEPS))
            return schedule.model_copy(update={"every_steps": every})
        case _:
            return schedule
