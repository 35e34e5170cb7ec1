"""How many trials the machines of a cluster have room for: pure arithmetic, no Ray.

What matters is what fits on one machine: two machines with three processors each have no room for
a trial that wants four, although six are there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_SMALLEST = 1e-4
"""Ray counts resources in steps of this size."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that trials may run on."""

    name: str
    """Its address, as people know it."""
    cpus: float
    gpus: float
    node_id: str = ""
    """Ray's."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What one trial takes."""

    cpus: float
    gpus: float = 0.0

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs" + (f" and {self.gpus:g} GPUs" if self.gpus else "")

    def bundle(self) -> dict[str, float]:
        """As Ray names it."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})


def on_node(node: Node, needs: Needs) -> int:
    """Trials that fit on one machine at a time."""
    room = [] if needs.cpus <= 0 else [_times(node.cpus, needs.cpus)]
    if needs.gpus >= 1:
        room.append(_times(node.gpus, needs.gpus))
    elif needs.gpus > 0:
        # A share of a GPU is a share of one of them: two thirds of two GPUs make no four thirds.
        room.append(int(node.gpus + _SMALLEST) * _times(1.0, needs.gpus))
    return min(room, default=0)


def total(nodes: Sequence[Node], needs: Needs) -> int:
    """Trials that all machines have room for at a time."""
    return sum(on_node(node, needs) for node in nodes)


def _times(there: float, wanted: float) -> int:
    return int((there + _SMALLEST) / wanted)


def why_none(nodes: Sequence[Node], needs: Needs) -> str:
    """Why a trial fits nowhere, with what each machine has; empty if it fits somewhere."""
    if total(nodes, needs) > 0:
        return ""
    kinds: dict[tuple[float, float], list[str]] = {}
    for node in nodes:
        kinds.setdefault((node.cpus, node.gpus), []).append(node.name)
    has = "; ".join(
        f"{_names(names)}: {cpus:g} CPUs and {gpus:g} GPUs"
        for (cpus, gpus), names in sorted(kinds.items(), reverse=True)
    )
    return (
        f"a trial wants {needs}, and no machine of the cluster has that ({has or 'it has none'}); "
        "lower --cpus-per-trial or --gpus-per-trial"
    )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def unsaid_gpus(cpus: float, gpus: float | None, cpus_there: float, gpus_there: float) -> str:
    """What to say where an autoscaler is to bring machines, and nothing was said of GPUs."""
    if gpus is not None or cpus_there >= cpus or gpus_there:
        return ""
    return (
        "the cluster has no machine for trials yet, and no GPU: trials will take none, whatever "
        "machines come; launch with --gpus-per-trial 1 to ask for some"
    )


def needs_of(cpus: float, gpus: float | None, gpus_there: float) -> Needs:
    """What a trial takes; where nothing is said of GPUs, one if the cluster has any."""
    return Needs(cpus, float(gpus_there >= 1) if gpus is None else gpus)
