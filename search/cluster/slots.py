"""Count how many trials the machines of a cluster have room for: pure arithmetic, no Ray.

A trial must fit on one machine: two machines with three processors each have no room for a trial
that needs four, although they have six together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.core.errors import UsageError

_SMALLEST = 1e-4
"""Ray counts resources in steps of this size."""


def check_shares(cpus_per_trial: float, gpus_per_trial: float | None) -> None:
    """Require numbers that Ray takes for the resources of a trial.

    Raises:
        UsageError: naming the option.
    """
    if not (_SMALLEST <= cpus_per_trial < math.inf):
        raise UsageError(
            f"--cpus-per-trial must be a number from {_SMALLEST:g} on, got {cpus_per_trial:g}"
        )
    gpus = gpus_per_trial or 0.0
    is_share = _SMALLEST <= gpus <= 1
    if gpus and not (is_share or (gpus > 1 and gpus.is_integer())):
        raise UsageError(
            f"--gpus-per-trial must be 0, a share of one GPU ({_SMALLEST:g} to 1) or a whole "
            f"number, got {gpus:g}"
        )


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that trials may run on."""

    name: str
    """Its address."""
    cpus: float
    gpus: float
    node_id: str = ""
    """Ray's name for it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The resources that one trial takes."""

    cpus: float
    gpus: float = 0.0

    def __str__(self) -> str:
        return describe_share(self.cpus, self.gpus) if self.gpus else _count(self.cpus, "CPU")

    def bundle(self) -> dict[str, float]:
        """Return the resources under Ray's names."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})


def count_slots_on(node: Node, needs: Needs) -> int:
    """Return how many trials fit on one machine at a time."""
    room = [] if needs.cpus <= 0 else [_count_fitting(node.cpus, needs.cpus)]
    if needs.gpus >= 1:
        room.append(_count_fitting(node.gpus, needs.gpus))
    elif needs.gpus > 0:
        # A share of a GPU is a share of one of them: two thirds of two GPUs make no four thirds.
        room.append(int(node.gpus + _SMALLEST) * _count_fitting(1.0, needs.gpus))
    return min(room, default=0)


def count_slots(nodes: Sequence[Node], needs: Needs) -> int:
    """Return how many trials fit on all machines at a time."""
    return sum(count_slots_on(node, needs) for node in nodes)


def _count_fitting(there: float, wanted: float) -> int:
    # Ray rounds to its own steps: three shares of 1/3 fit on one GPU.
    return int((there + _SMALLEST) / wanted)


def explain_no_slot(nodes: Sequence[Node], needs: Needs) -> str:
    """Say why a trial fits on no machine, with what each has; empty if it fits on one."""
    if count_slots(nodes, needs) > 0:
        return ""
    kinds: dict[tuple[float, float], list[str]] = {}
    for node in nodes:
        kinds.setdefault((node.cpus, node.gpus), []).append(node.name)
    has = "; ".join(
        f"{_join_names(names)}: {describe_share(cpus, gpus)}"
        for (cpus, gpus), names in sorted(kinds.items(), reverse=True)
    )
    return (
        f"a trial wants {needs}, and no machine of the cluster has that ({has or 'it has none'}); "
        "lower --cpus-per-trial or --gpus-per-trial"
    )


def describe_share(cpus: float, gpus: float) -> str:
    """Return processors and GPUs in words: 2 CPUs and no GPU."""
    return f"{_count(cpus, 'CPU')} and {_count(gpus, 'GPU')}"


def _count(number: float, unit: str) -> str:
    return f"{number:g} {unit}s" if number > 1 else f"{number:g} {unit}" if number else f"no {unit}"


def _join_names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def warn_of_unstated_gpus(
    cpus: float, gpus: float | None, cpus_there: float, gpus_there: float
) -> str:
    """Return a warning that trials will get no GPU from machines that are still to come.

    It is empty if GPUs were asked for, or if machines are there already.
    """
    if gpus is not None or cpus_there >= cpus or gpus_there:
        return ""
    return (
        "the cluster has no machine for trials yet, and no GPU: trials will take none, whatever "
        "machines come; launch with --gpus-per-trial 1 to ask for some"
    )


def decide_needs(cpus: float, gpus: float | None, gpus_there: float) -> Needs:
    """Return what a trial takes; where GPUs were not asked for, one if the cluster has any."""
    return Needs(cpus, float(gpus_there >= 1) if gpus is None else gpus)
