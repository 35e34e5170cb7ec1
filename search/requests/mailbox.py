"""Send requests to a search's driver as files, from any machine that can write its folder.

A request is written beside and renamed, so that a driver never reads half of one. It goes when it
has been carried out; one that cannot be is put aside, with the reason in a file beside it.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search.core.lease import DriverInfo, find_live_driver
from search.requests import messages
from search.requests.messages import Request
from spkmodel.core import foreign_file

_MOST_BYTES = 1 << 20
_GLANCE_SECONDS = 0.5
"""Between two looks whether the driver still lives; of another host it costs a file."""


@dataclass(frozen=True)
class Pending:
    """A request that has not been applied yet."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the request's file; the event records it, so that it is applied once."""
        return self.path.name

    def read(self) -> Request:
        """Read the message.

        Raises:
            ValueError: if it says nothing that is understood.
        """
        if self.path.is_symlink() or not self.path.is_file():
            raise ValueError("no plain file")
        if self.path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES} bytes")
        return messages.read(foreign_file.read_bytes(self.path, _MOST_BYTES))

    def done(self) -> None:
        """Remove the request, which has been applied."""
        self.path.unlink(missing_ok=True)

    def refuse(self, reason: str) -> None:
        """Replace the request by the reason for its refusal, which the sender reads."""
        aside = _refused(self.path.parent)
        aside.mkdir(exist_ok=True)
        (aside / f"{self.path.name}.reason").write_text(reason + "\n", encoding="utf-8")
        self.path.replace(aside / self.path.name)


def identity(driver: DriverInfo) -> str:
    """Return the text by which a request names the driver that it is meant for."""
    return f"{driver.host} {driver.pid} {driver.started}"


def write(folder: Path, request: Request) -> Pending:
    """Write a request into the mailbox of the search in `folder`."""
    control = folder / "control"
    control.mkdir(exist_ok=True)
    # Its time comes first: requests of one machine are carried out in the order they were made in.
    name = f"{time.time_ns()}-{os.getpid()}-{request.kind}.json"
    beside = control / f".{name}"
    with beside.open("w", encoding="utf-8") as file:
        file.write(request.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(control / name)
    return Pending(control / name)


def pending(folder: Path) -> list[Pending]:
    """Return the requests that have not been applied yet, oldest first."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(_files(folder / "control"), key=lambda each: each.path.name)
    return []


def _files(control: Path) -> Iterator[Pending]:
    # `Path.glob` would cost ten times as much, and the driver looks often.
    with os.scandir(control) as entries:
        for entry in entries:
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                yield Pending(Path(entry.path))


def answer(request: Pending, patience: float) -> str | None:
    """Wait for the driver's answer to a request.

    Returns:
        The reason if it was refused; empty if it was carried out; None if the time was up first,
        or the driver has died.
    """
    began = time.monotonic()
    glances = 0
    while request.path.exists():
        waited = time.monotonic() - began
        if waited > patience:
            return None
        if waited >= glances * _GLANCE_SECONDS:
            glances += 1
            if find_live_driver(request.path.parent.parent) is None:
                return None
        time.sleep(0.05)
    reason = _refused(request.path.parent) / f"{request.path.name}.reason"
    return reason.read_text(encoding="utf-8").strip() if reason.is_file() else ""


def _refused(control: Path) -> Path:
    return control / "refused"
