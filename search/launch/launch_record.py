"""The record of a background launch: what was started, and where.

It is written before the search's ledger exists, so that a launch which still prepares can be found
and ended. It names a process of a host, or a job of a Ray cluster.
"""

import dataclasses
import json
from dataclasses import asdict, dataclass
from typing import Literal

from search.core.paths import search_folder
from search.launch import exit_record
from search.launch.exit_record import ExitRecord
from search.launch.settings import LaunchRequest
from spkmodel.core.temporary import temporary_beside

_RECORD = "detached.json"


@dataclass(frozen=True, kw_only=True)
class BackgroundLaunch:
    """The last launch in the background."""

    kind: Literal["process", "job"]
    by: str
    host: str = ""
    pid: int = 0
    started: str = ""
    """Of a process: when it began, as `spkmodel.core.process_identity.process_start` counts."""
    address: str = ""
    """Of a job: where its cluster takes jobs."""
    submission_id: str = ""
    token: str = ""
    """Tells this launch from others of the search."""
    ended: ExitRecord | None = None
    """How it ended, if it could say so; it is in a file of its own."""

    @property
    def description(self) -> str:
        """Return the process or job, for messages."""
        if self.kind == "job":
            return f"Ray job {self.submission_id} at {self.address}"
        return f"process {self.pid} on {self.host}"


def read(name: str) -> BackgroundLaunch | None:
    """Return the record of a search's last background launch; None if there was none."""
    folder = search_folder(name)
    try:
        record = BackgroundLaunch(**json.loads((folder / _RECORD).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None
    return dataclasses.replace(record, ended=exit_record.read(folder, record.token))


def write(name: str, record: BackgroundLaunch) -> None:
    """Write the record of what was started."""
    folder = search_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    beside = temporary_beside(folder / _RECORD)
    fields = asdict(record)
    del fields["ended"]
    beside.write_text(json.dumps(fields), encoding="utf-8")
    beside.replace(folder / _RECORD)


def format_arguments(request: LaunchRequest) -> list[str]:
    """Return the words of a command line that asks for the same; no secret is in them.

    `tracking_uri` may hold a password, and every user of a machine sees command lines: it is left
    to the environment.
    """
    words = ["launch", request.space]
    for field in dataclasses.fields(request):
        value = getattr(request, field.name)
        # A flag that is off says so only where off is not what nobody asks for.
        if field.name in ("space", "tracking_uri") or value == field.default:
            continue
        words.append(f"--{'no-' if value is False else ''}{field.name.replace('_', '-')}")
        if not isinstance(value, bool):
            words.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return words
