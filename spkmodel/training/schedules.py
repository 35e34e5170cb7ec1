"""Compute the learning rate of each step, as pure functions of epochs and steps.

Schedules in epochs, and the rise of a warm-up, give the rate of the moment at which a step ends:
the first step of a warm-up is then not lost on a rate of 0. torch's schedulers and WeSpeaker's take
the moment at which it begins, so theirs are one step behind.
"""

import math
from typing import assert_never

from spkmodel.config import (
    SGDR,
    Constant,
    Cosine,
    CosineRestarts,
    ExponentialDecay,
    ExponentialFall,
    OneCycle,
    Schedule,
    StepDecay,
)

_ROUNDING = 1e-9


def learning_rate(schedule: Schedule, full: float, *, epochs: float, steps: int) -> float:
    """Return the learning rate of one step of the optimiser.

    Args:
        schedule: of the config.
        full: the optimiser's learning rate, which the schedule takes fractions of.
        epochs: trained once this step is done; a fraction counts the steps of the current one.
        steps: the number of this step, from 1.
    """
    return full * _fraction(schedule, epochs, steps)


def _fraction(schedule: Schedule, epochs: float, steps: int) -> float:
    match schedule:
        case Cosine():
            if epochs < schedule.warmup_epochs:
                return _warm(epochs, schedule.warmup_epochs)
            span = schedule.epochs - schedule.warmup_epochs
            return _cosine(1.0, schedule.floor, (epochs - schedule.warmup_epochs) / span)
        case CosineRestarts() | SGDR() | OneCycle():
            return _cycling(schedule, epochs, steps)
        case Constant() | StepDecay() | ExponentialDecay() | ExponentialFall():
            return _decayed(schedule, epochs, steps) * _warm(epochs, schedule.warmup_epochs)
        case _:
            assert_never(schedule)


def _decayed(
    schedule: Constant | StepDecay | ExponentialDecay | ExponentialFall, epochs: float, steps: int
) -> float:
    match schedule:
        case Constant():
            return 1.0
        case StepDecay():
            # `epochs` is the moment after the step; its last step still belongs to an epoch.
            whole = math.ceil(epochs - _ROUNDING) - 1
            return schedule.factor ** (whole // schedule.every_epochs)
        case ExponentialDecay():
            times = (steps - 1) / schedule.every_steps
            return schedule.factor ** (math.floor(times) if schedule.staircase else times)
        case ExponentialFall():
            return schedule.floor ** min(1.0, epochs / schedule.epochs)
        case _:
            assert_never(schedule)


def _cycling(schedule: CosineRestarts | SGDR | OneCycle, epochs: float, steps: int) -> float:
    match schedule:
        case CosineRestarts():
            start, end = _cycle_in_epochs(schedule, epochs)
            done = (epochs - start) / (end - start)
            return _warm_cosine(done, done, schedule.warmup_fraction, schedule.floor)
        case SGDR():
            before, length = _cycle_in_steps(schedule, steps - 1)
            return _warm_cosine(
                before / length, (before + 1) / length, schedule.warmup_fraction, schedule.floor
            )
        case OneCycle():
            done, rise = min(1.0, epochs / schedule.epochs), schedule.rise_fraction
            if done < rise:
                return _cosine(schedule.initial_fraction, 1.0, done / rise)
            return _cosine(1.0, schedule.floor, (done - rise) / (1 - rise))
        case _:
            assert_never(schedule)


def _warm(done: float, length: float) -> float:
    return 1.0 if length == 0 else min(1.0, done / length)


def _cosine(first: float, last: float, done: float) -> float:
    """Return the value on half a cosine from `first` to `last`, and `last` after its end."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _warm_cosine(before: float, after: float, warmup_fraction: float, floor: float) -> float:
    """Return the fraction within a cycle; `before` and `after` are its parts done around a step.

    They are the same for a schedule that counts epochs. The warm-up takes `after`, so that the
    first step is not for nothing.
    """
    if before < warmup_fraction:
        return _warm(after, warmup_fraction)
    return _cosine(1.0, floor, (before - warmup_fraction) / (1 - warmup_fraction))


def _cycle_in_epochs(schedule: CosineRestarts, epochs: float) -> tuple[float, float]:
    """Start and end, in epochs, of the cycle that the moment `epochs` lies in or ends."""
    start, end = 0.0, float(schedule.first_epochs)
    # A sum of fractions may lie just above a whole number of epochs.
    while epochs > end + _ROUNDING:
        start, end = end, end * schedule.growth
    return start, end


def _cycle_in_steps(schedule: SGDR, before: int) -> tuple[int, int]:
    """Return the steps done in the current cycle after `before` steps, and the cycle's length."""
    length = schedule.first_steps
    if schedule.length_growth == 1:
        return before % length, length
    while before >= length:
        before -= length
        length *= schedule.length_growth
    return before, length
