"""Print what the cluster tests measure, and keep it in a file for docs/reliability.md."""

import json
import os
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def line(claim: str, values: dict[str, Any]) -> str:
    """Return a measurement as one line of text."""
    return f"{claim}: " + ", ".join(f"{name} {value}" for name, value in values.items())


def keep(results: Path, claim: str, values: dict[str, Any]) -> None:
    """Write the figures of a claim in the place of its earlier ones."""
    before = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    before[claim] = {
        "figures": values,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "ray": version("ray"),
    }
    results.parent.mkdir(parents=True, exist_ok=True)
    beside = results.with_name(f".{results.name}")
    beside.write_text(json.dumps(before, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    beside.replace(results)
