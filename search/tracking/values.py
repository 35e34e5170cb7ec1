"""Format names and values as MLflow takes them."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_TAG_LENGTH = 500


def run_name(trial: str, config: Mapping[str, Any]) -> str:
    """The first thing seen of a run, of which a table shows some 22 characters."""
    kinds = [config.get(part, {}).get("kind", "") for part in ("encoder", "loss")]
    return " ".join([trial, *(kind for kind in kinds if kind)])


def finite(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers: MLflow would store an infinite one as the largest double."""
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def as_param(value: Any) -> str:
    """A param's value: numbers exactly, lists compactly."""
    return value if isinstance(value, str) else json.dumps(value)


def as_tag(words: Any) -> str:
    """A tag's value on one line, of a length that a table bears."""
    line = " ".join(str(words).split())
    return line if len(line) <= _TAG_LENGTH else line[: _TAG_LENGTH - 1] + "…"


def milliseconds(time: str) -> int:
    """A ledger's time as MLflow counts it: the same for every replay of the event."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)
