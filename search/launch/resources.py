"""Refuse resources for a trial that are known not to be there, before anything is written.

What this machine has is known at once; what a cluster has, once it is joined
(`search.cluster.autoscaling.list_checked_nodes`).
"""

import sys
from typing import Any

from search.cluster.connection import resolve_address
from search.cluster.local_resources import require_room_here
from search.cluster.preflight import is_local
from search.cluster.slots import Needs, check_shares
from search.launch.settings import DEFAULT_CPUS, LaunchRequest
from search.ledger.settings import SearchSettings


def require_asked_resources(request: LaunchRequest, before: SearchSettings | None) -> None:
    """Require that a trial can have what a launch asks for, where that differs from before.

    A search that is resumed as it was may be finished, and then needs nothing.

    Raises:
        UsageError: the numbers are none that Ray takes.
        EnvironmentSetupError: trials are to run here, and this machine has not got it.
    """
    if are_resources_new(request, before):
        require_resources(request, before)


def require_resources(request: LaunchRequest, before: SearchSettings | None) -> None:
    """Require that a trial can have what it needs, as far as that is known without a cluster.

    Raises:
        UsageError: the numbers are none that Ray takes.
        EnvironmentSetupError: trials are to run here, and this machine has not got it.
    """
    cpus, gpus = asked_or_recorded(request, before)
    check_shares(cpus, gpus)
    if is_local(resolve_address(request.address)) and not _is_connected():
        require_room_here(Needs(cpus, gpus or 0.0))


def are_resources_new(request: LaunchRequest, before: SearchSettings | None) -> bool:
    """Return whether a launch gives trials other resources than before; a new search does."""
    recorded = before and (before.cpus_per_trial, before.gpus_per_trial)
    return recorded != asked_or_recorded(request, before)


def asked_or_recorded(
    request: LaunchRequest, before: SearchSettings | None
) -> tuple[float, float | None]:
    """Return processors and GPUs of a trial: as asked, as before, or the default."""
    cpus, gpus = request.cpus_per_trial, request.gpus_per_trial
    if before is not None:
        cpus = before.cpus_per_trial if cpus is None else cpus
        gpus = before.gpus_per_trial if gpus is None else gpus
    return DEFAULT_CPUS if cpus is None else cpus, gpus


def _is_connected() -> bool:
    """Return whether this process has joined a Ray, whose resources then count."""
    ray: Any = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())
