"""Define what a fault is: how it is injected, what it needs, and how large a search."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bench.chaos import services
from bench.chaos.experiment import Experiment, Size
from search.tracking.server import Server


@dataclass
class FaultContext:
    """What an experiment runs beside: the servers that all rounds share."""

    server: Server
    proxy: services.Proxy
    postgres: services.Postgres | None = None
    outage_seconds: float = 8.0

    def processes(self) -> set[int]:
        """Return the servers' processes, which a fault may have started anew."""
        return {self.server.pid} | ({self.postgres.pid} if self.postgres else set())


InjectFault = Callable[[Experiment, FaultContext, np.random.Generator], None]


@dataclass(frozen=True)
class Fault:
    """One fault: how it is injected, and into what search."""

    name: str
    description: str
    """How `docs/reliability.md` describes it."""
    inject: InjectFault
    size: Size = field(default_factory=Size)
    has_failing_configs: bool = False
    real: bool = False
    requirements: tuple[Callable[[], str], ...] = ()
    """Each returns why the fault cannot be injected on this machine; empty if it can."""
    measures_slowdown: bool = False
    """Whether the slowdown is measured: the search is then long enough for a comparison."""
    mlflow_route: str = "server"
    """How the search reaches MLflow: `server`, `proxy` or `postgres`."""
    small_disk_mb: int = 0
    """The search's storage is a file system of this size; 0: it is not."""

    def why_not(self) -> str:
        """Return why the fault cannot be injected on this machine; empty if it can."""
        return next((why for want in self.requirements if (why := want())), "")
