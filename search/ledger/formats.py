"""Read lines of a ledger, also those of older versions; no other module knows older formats.

A line that today's models take is read as it is. Any other is converted first: what its version
did not write yet is filled in. Ledgers are never rewritten.
"""

import json
from collections.abc import Callable
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from search.core.errors import EnvironmentSetupError
from search.ledger.events import (
    FORMAT,
    DriverEvent,
    Event,
    KnownEvent,
    MalformedEvent,
    SearchEvent,
    UnknownEvent,
)
from search.ledger.kinds import DRIVER_ENDED, OBJECTIVE, Failure, InterruptReason
from search.ledger.settings import DEFAULT_KEEP

_ANY: TypeAdapter[KnownEvent] = TypeAdapter(Annotated[KnownEvent, Field(discriminator="event")])

_START = b'{"event": "'
"""How every line begins that was ever written: its model is found without parsing it."""

_READ_LINE = {
    model.model_fields["event"].default.encode(): model.model_validate_json
    for model in get_args(KnownEvent)
}

_KINDS = frozenset(kind.decode() for kind in _READ_LINE)


def parse(line: bytes) -> Event:
    """Return the event of a line.

    Raises:
        ValueError: it is no event.
        EnvironmentSetupError: a later version of spksearch wrote it.
    """
    read_line = _READ_LINE.get(line[len(_START) : line.find(b'"', len(_START))])
    # pydantic takes NaN for a number, and JSON has none. The words may also stand in a text.
    if read_line is not None and b"NaN" not in line and b"Infinity" not in line:
        try:
            event = read_line(line)
        except ValidationError:
            return _parse_other(line)
        if event.time and event.search:
            if isinstance(event, SearchEvent | DriverEvent):
                _check_format(event.search, event.format)
            return event
    return _parse_other(line)


def _parse_other(line: bytes) -> Event:
    try:
        record = json.loads(line, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return from_json(record)


def from_json(record: Any) -> Event:
    """Return the event of a JSON object.

    Raises:
        ValueError: it is no event.
        EnvironmentSetupError: a later version of spksearch wrote it.
    """
    if not isinstance(record, dict) or not {"event", "time", "search"} <= record.keys():
        raise ValueError("an object with event, time and search is wanted")
    kind = record["event"]
    if kind not in _KINDS:
        return UnknownEvent(**record)
    if kind in ("search", "driver"):
        _check_format(record["search"], record.get("format", 1))
    try:
        return _ANY.validate_python(_converted(record))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, found["loc"][1:]))
        return MalformedEvent(**record, problem=f"{where}: {found['msg']}")


def _check_format(search: str, number: int) -> None:
    if number > FORMAT:
        raise EnvironmentSetupError(
            f"search {search!r} was written by a later version of spksearch (format {number}; this "
            f"one knows up to {FORMAT}): go on with that version, or launch under another --name"
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# --- what older versions did not write ---------------------------------------------------------


def _converted(record: dict[str, Any]) -> dict[str, Any]:
    """Add the fields that an older version did not write; change none that it wrote."""
    converted = {**_LATER.get(record["event"], {}), **record}
    for key, find in _DERIVED.get(record["event"], {}).items():
        if key not in record:
            converted[key] = find(record)
    return converted


def _crash_kind(record: dict[str, Any]) -> InterruptReason:
    """Return the kind of a `crash` event: why the attempt was interrupted."""
    if record.get("counts"):
        return "crash"
    return "driver" if record.get("reason") == DRIVER_ENDED else "stopped"


def _end_kind(record: dict[str, Any]) -> Failure | str:
    """Return the kind of failure of an `end` event; empty unless the trial failed."""
    if record.get("state") != "failed":
        return ""
    first = str(record.get("reason", "")).partition(":")[0]
    return first if first in ("diverged", "collapsed") else "crash"


_LATER: dict[str, dict[str, Any]] = {
    "search": {
        "format": 1,
        "finalists": 1,
        "objectives": (OBJECTIVE,),
        "warm_start": "",
        "warm_start_trials": 0,
        "warm_start_sha256": "",
        "store_sha256": "",
        "max_failed": None,
        "keep_checkpoints": DEFAULT_KEEP,
        "disk_gb": None,
    },
    "driver": {"format": 1},
    "trial": {"encoder_parameters": None, "warm_start": None},
    "segment": {"from_step": 0},
    "report": {"bytes": None, "gpu_share": 0.0},
    "partial": {"bytes": None},
    "evaluated": {"protocol": "default", "metrics": {}},
    "promoted": {"sha256": "", "tracking_uri": ""},
}
"""By kind of event: keys that were added to it after the first version, and what they mean there
where they are missing."""

_DERIVED: dict[str, dict[str, Callable[[dict[str, Any]], str]]] = {
    "crash": {"kind": _crash_kind},
    "end": {"kind": _end_kind},
}
"""By kind of event: keys whose value follows from what the event says besides."""
