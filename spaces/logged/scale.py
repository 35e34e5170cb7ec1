"""An entry made small: the same change, on a network and a training that this machine can afford.

Everything shrinks together. By a scale of 1/4, widths are a quarter, crops and speakers a batch a
half, and whatever a schedule counts in steps is in proportion to the steps there are. What is no
width stays: depth, kernels, orders, the number of utterances a speaker, learning rate, margins.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spaces.logged.notebook import NotebookError
from spkmodel.config import SGDR, ExponentialDecay, Schedule, TrainConfig

LOG_STEPS = 63_000
"""What the log trains for where nothing else is written: six cycles of its restarts."""

CYCLES = 3
"""Of cosine restarts in a training that is scaled: 1 + 2 + 4 parts."""

_NAMES = {"small": 4, "full": 1}
_WIDTHS: Mapping[str, Mapping[str, int]] = {
    "log_net": {"in_channels": 2, "channels": 2, "dense": 4, "out_dim": 4},
    "tdnn": {"channels": 8, "embedding_dim": 8},
    "resnet_se_34l": {"channels": 8, "embedding_dim": 8},
    "resnet_se_34_half": {"channels": 8, "embedding_dim": 8},
    "resnet_se_34_v2": {"channels": 8, "embedding_dim": 8},
}
"""By kind of encoder: its widths, and the least that they may become."""

_LEAST_CROP_SECONDS = 0.5
_LEAST_SPEAKERS = 4


@dataclass(frozen=True)
class Scale:
    """How small."""

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
        """For names and tables."""
        return "full" if self.is_full else f"1/{self.divisor}"

    @property
    def description(self) -> str:
        """What is added to the name of whatever was made at this scale; empty at full size."""
        return "" if self.is_full else f"scaled {self.text}"


def parse_scale(text: str) -> Scale:
    """From `small`, `full` or `1/4`.

    Raises:
        NotebookError: naming the scales there are.
    """
    if text in _NAMES:
        return Scale(_NAMES[text])
    top, slash, bottom = text.partition("/")
    if top != "1" or not slash or not bottom.isdigit():
        raise NotebookError(f"--scale is full, small (1/4), 1/2, 1/4, 1/8 or 1/16, got {text!r}")
    return Scale(int(bottom))


def scale_config(config: TrainConfig, scale: Scale) -> TrainConfig:
    """Narrower, on shorter crops of fewer speakers; the schedule waits for `adapt_schedules`.

    Raises:
        NotebookError: if there is no telling what the widths of its encoder are.
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
    """The schedule, the average of weights, the limits of Batch Renorm, of so many steps in all.

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
