"""Format names and values as MLflow takes them."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_TAG_LENGTH = 500


def run_name(trial: str, config: Mapping[str, Any]) -> str:
    """Return the name of a run, of which MLflow's table shows some 22 characters."""
    kinds = [config.get(part, {}).get("kind", "") for part in ("encoder", "loss")]
    return " ".join([trial, *(kind for kind in kinds if kind)])


def finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers: MLflow would store an infinite one as the largest double."""
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def as_param(value: Any) -> str:
    """Format a param's value: numbers exactly, lists compactly."""
    return value if isinstance(value, str) else json.dumps(value)


def as_tag(words: Any) -> str:
    """Format a tag's value on one line, short enough for a table."""
    line = " ".join(str(words).split())
    return line if len(line) <= _TAG_LENGTH else line[: _TAG_LENGTH - 1] + "…"


def milliseconds(time: str) -> int:
    """Return a ledger's time in milliseconds, as MLflow counts it."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)
