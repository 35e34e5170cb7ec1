"""What a fault is: how it strikes a running search, what it wants, what it may expect."""

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
    """A fault by its name."""

    name: str
    description: str
    """For the page."""
    inject: InjectFault
    size: Size = field(default_factory=Size)
    has_failing_configs: bool = False
    real: bool = False
    requirements: tuple[Callable[[], str], ...] = ()
    """Each says why the fault cannot be had here, or nothing."""
    measures_slowdown: bool = False
    """Whether to see what it slows: then the search is long enough to be compared with itself."""
    mlflow_route: str = "server"
    """What MLflow is reached through: `server`, `proxy` or `postgres`."""
    small_disk_mb: int = 0
    """The search's storage is a file system of this size; 0: it is not."""

    def why_not(self) -> str:
        """Why it cannot be had here; empty if it can."""
        return next((why for want in self.requirements if (why := want())), "")
