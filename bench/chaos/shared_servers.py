"""Start the servers that the rounds of a run share, and stop them at its end."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.chaos import processes, services
from bench.chaos.faults.fault import Fault, FaultContext
from search.tracking import server as mlflow_server


class SharedServers:
    """Servers that all rounds share: MLflow with a proxy, and a second one on PostgreSQL.

    Each is started when a round first needs it, and stopped at the end of the context.
    """

    def __init__(self, folder: Path, outage_seconds: float) -> None:
        self.folder = folder
        self._outage_seconds = outage_seconds
        self._stack = ExitStack()
        self._plain: FaultContext | None = None
        self._on_postgres: FaultContext | None = None

    def context_for(self, fault: Fault) -> FaultContext:
        """Return the servers that a fault needs; start them if they do not run yet.

        MLflow's client in this process is let in to the one that is returned.
        """
        context = self._context_for(fault)
        os.environ.update(context.server.client_environment())
        return context

    def _context_for(self, fault: Fault) -> FaultContext:
        if fault.mlflow_route == "postgres":
            if self._on_postgres is None:
                postgres = services.Postgres(Path(tempfile.mkdtemp(prefix="chaos-pg-")) / "pg")
                self._stack.callback(shutil.rmtree, postgres.folder.parent, ignore_errors=True)
                self._stack.callback(postgres.stop)
                self._on_postgres = self._serve("on-postgres", postgres)
            return self._on_postgres
        if self._plain is None:
            self._plain = self._serve("on-sqlite", None)
        return self._plain

    def _serve(self, name: str, postgres: services.Postgres | None) -> FaultContext:
        home = self.folder / name
        home.mkdir(parents=True)
        server = mlflow_server.start(home, store=postgres.uri if postgres else None)
        self._stack.callback(server.stop)
        server.wait_ready()
        proxy = services.Proxy(server.port)
        self._stack.callback(proxy.close)
        return FaultContext(server, proxy, postgres, self._outage_seconds)

    def __enter__(self) -> "SharedServers":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        processes.end_agents()
