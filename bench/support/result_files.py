"""Keep results of benches as files: what was measured, how, on what machine, when."""

import json
import os
import platform
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "results"

_LIBRARIES = ("ray", "optuna", "mlflow", "torch", "numpy")


def describe_measurement(command: str) -> dict[str, Any]:
    """Return how, where and when a figure was measured."""
    return {
        "command": command,
        "date": now(),
        "versions": {"python": platform.python_version(), **versions(_LIBRARIES)},
        "machine": {"cpus": os.cpu_count(), "processor": _processor()},
        "load_before": load(),
    }


def now() -> str:
    """Return the date and time of a result."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Return the versions of installed libraries."""
    return {library: version(library) for library in libraries}


def load() -> float:
    """Return the load average of the last minute, other work included."""
    return round(os.getloadavg()[0], 2)


def write(name: str, result: dict[str, Any]) -> Path:
    """Write a result under this name, in place of the last one."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    result["load_after"] = load()
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def read(name: str) -> dict[str, Any] | None:
    """Return the last result of this name; None if there is none."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def command_of(module: str) -> str:
    """Return the command that was typed."""
    return " ".join(["python", "-m", module, *sys.argv[1:]])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
