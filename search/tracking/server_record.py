"""The record of a running MLflow server: enough to find it and to know it is still that one.

Several commands share one server. A process id alone would not do: it may belong to another
process by now, so the time at which the process began is compared too.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from spkmodel.core.process_identity import process_start


@dataclass(frozen=True)
class ServerRecord:
    """What `mlflow-server.json` says."""

    pid: int
    """Of the guard, the leader of the server's process group."""
    started: str
    port: int
    owner_pid: int
    owner_started: str
    store: str
    """`digest_store` of the address, which may hold a password."""

    def is_alive(self) -> bool:
        """Return whether the recorded process still runs."""
        return process_start(self.pid) == self.started

    def is_owned(self) -> bool:
        """Return whether the process that started it lives; else the server is about to end."""
        return process_start(self.owner_pid) == self.owner_started


def read_record(folder: Path) -> ServerRecord | None:
    """Return the record in a folder; None if there is none that can be read."""
    try:
        return ServerRecord(**json.loads(_path_in(folder).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_record(folder: Path, record: ServerRecord) -> None:
    """Write the record so that a reader sees the old one or the new one, whole."""
    draft = _path_in(folder).with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(record)) + "\n")
    draft.replace(_path_in(folder))


def digest_store(store: str) -> str:
    """Return what identifies the address of a store without showing it."""
    return hashlib.sha256(store.encode()).hexdigest()[:16]


def _path_in(folder: Path) -> Path:
    return folder / "mlflow-server.json"
