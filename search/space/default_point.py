"""Find the default point of a space: what somebody would train who does not search.

Each parameter has the value that `TrainConfig`'s default has there, where that lies in its range;
else the middle of the range (the geometric one of a logarithmic range) or the first choice. A
space file may name answers of its own in a mapping `DEFAULT`, by parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.core.config_differences import flatten
from search.core.errors import UsageError
from search.space.branches import Choice, Space
from search.space.locate import KnownAnswersTrial, fits
from spkmodel.config import TrainConfig

_SWEEPS = 4
"""Times that all parameters are tried; one may need the right value of another first."""


@dataclass(frozen=True)
class _Guess:
    """Some answers, and what the space makes of them."""

    trial: KnownAnswersTrial
    fields: Mapping[str, Any]
    """Of the config, with dotted keys; empty where the answers make none."""
    agreeing: int
    """Fields that are as in the default config; -1 where the answers make no config."""
    problem: ValueError | None = None
    """Why they make none."""


def find_default_point(space: Space) -> dict[str, Any]:
    """Return the answers of the default point, by parameter, in the order of the questions.

    A coordinate search, as in `search.space.locate`: of each parameter's possible answers one is
    taken that makes more fields of the config agree with the default config. Fields that the
    default config does not have count for nothing, so that of several losses none of which is the
    default's, the first is taken.

    Raises:
        UsageError: `DEFAULT` of the space names a parameter that is not asked for there, or an
            answer outside its range, or the space makes no config of these answers.
    """
    target = flatten(TrainConfig().model_dump(mode="json"))
    here = _guess(space, target, {})
    if here.problem is not None:
        _check_named_answers(space, here.trial)
        made = ", ".join(f"{name} = {answer}" for name, answer in here.trial.answers.items())
        raise UsageError(
            f"space {space.name!r}, its default point ({made}): {here.problem}"
        ) from here.problem
    for _ in range(_SWEEPS):
        before = here
        for name in list(here.trial.asked):
            if name not in space.default:
                here = _improve(space, target, here, name)
        if here is before:
            break
    _check_named_answers(space, here.trial)
    return dict(here.trial.answers)


def _guess(space: Space, target: Mapping[str, Any], answers: Mapping[str, Any]) -> _Guess:
    trial = KnownAnswersTrial({**answers, **space.default})
    try:
        config = space.function(trial)
    except ValueError as problem:
        # Not every combination of answers is a config; this one must lose against all that are.
        return _Guess(trial, {}, -1, problem)
    fields = flatten(config.model_dump(mode="json"))
    agreeing = sum(key in fields and fields[key] == value for key, value in target.items())
    return _Guess(trial, fields, agreeing)


def _improve(space: Space, target: Mapping[str, Any], here: _Guess, name: str) -> _Guess:
    """Return the guess with the best answer to one parameter; the same guess if none is better."""
    extent = here.trial.asked.get(name)
    if extent is None:
        return here
    choices: set[Any] | tuple[Choice, ...] = extent.choices
    if not choices:
        # A number decides some fields: those that change with it say which values to try.
        ends = [
            _guess(space, target, {**here.trial.answers, name: extent.value_at(end)}).fields
            for end in ("low", "high")
        ]
        choices = {
            value
            for fields in ends
            for key, value in target.items()
            if key in fields and fields[key] != here.fields.get(key)
            if isinstance(value, int | float) and fits(value, extent)
        }
    guesses = [
        _guess(space, target, {**here.trial.answers, name: answer})
        for answer in choices
        if answer != here.trial.answers[name] and fits(answer, extent)
    ]
    return max([here, *guesses], key=lambda guess: guess.agreeing)


def _check_named_answers(space: Space, trial: KnownAnswersTrial) -> None:
    if trial.misfits:
        raise UsageError(
            f"space {space.name!r}, DEFAULT: {'; '.join(trial.misfits.values())}; its answers "
            "must lie in the ranges of space()"
        )
    unasked = [name for name in space.default if name not in trial.asked]
    if unasked:
        raise UsageError(
            f"space {space.name!r}, DEFAULT: {', '.join(unasked)} is not asked for where the "
            f"others are answered so; it asks for {', '.join(trial.asked)}"
        )
