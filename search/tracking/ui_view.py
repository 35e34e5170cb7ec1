"""Describe the MLflow page of a search: trials best first, with columns and charts.

MLflow's page reads an experiment tag `mlflow.sharedViewState.<key>` when its address asks for
`viewStateShareKey=<key>`. That is not a documented interface, so whoever writes the tag must be
ready to go on without it.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from search.core.redact import strip_credentials

Axes = Mapping[str, Any]

_MOST_CHARACTERS = 20_000
"""MLflow refuses longer experiment tags."""
_MOST_AXES = 12
_METRICS = ("dev_eer", "dev_min_dcf_p01")
_FIRST = {
    "attributes.`Run Name`": 210,
    "runDateAndNestInfo": 130,
    "metrics.`best_dev_eer`": 110,
    "tags.`state`": 90,
    "tags.`rung`": 60,
}
"""What stands first, with its width: left to itself, the page puts tags behind all params, where a
screen's width does not reach."""
_NOT_SELECTED = ("attributes.`Run Name`", "runDateAndNestInfo")
"""Always there, so that they cannot be asked for."""


def key_of(search: str) -> str:
    """Return the share key of a search's view."""
    return f"spksearch-{search}"


def tag_of(search: str) -> str:
    """Return the name of the experiment tag that holds a search's view."""
    return f"mlflow.sharedViewState.{key_of(search)}"


def address(base_uri: str, experiment_id: str, search: str) -> str:
    """Return where a browser finds the view, without user and password."""
    base = strip_credentials(base_uri).rstrip("/")
    share = quote(key_of(search), safe="")
    return f"{base}/#/experiments/{experiment_id}/runs?viewStateShareKey={share}"


def view(search: str, trials: Sequence[Axes]) -> str:
    """Return the tag's value for the trials so far, each given by its axes."""
    shown = _shown(trials)
    while len(text := json.dumps(_state(search, shown, trials))) >= _MOST_CHARACTERS:
        shown.pop()
    return text


def _state(search: str, shown: Sequence[str], trials: Sequence[Axes]) -> dict[str, Any]:
    common = [name for name in shown if share_of(name, trials) == 1]
    columns = [
        *_FIRST,
        *(f"metrics.`{name}`" for name in _METRICS),
        *(f"params.`{name}`" for name in shown),
    ]
    return {
        "searchFilter": f"tags.`kind` = 'trial' and tags.`search` = '{search}'",
        "orderByKey": "metrics.`best_dev_eer`",
        "orderByAsc": True,
        "selectedColumns": [each for each in columns if each not in _NOT_SELECTED],
        "columnOrder": columns,
        "columnWidths": _FIRST,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": _charts(search, common, most_telling(common, trials)),
        "compareRunSections": [
            {
                "uuid": _section(search),
                "name": search,
                "display": True,
                "columns": 2,
                "isReordered": False,
                "deleted": False,
                "isGenerated": False,
            }
        ],
    }


def share_of(name: str, trials: Sequence[Axes]) -> float:
    """Return the fraction of the trials that have this axis: not every branch of a space does."""
    return sum(name in axes for axes in trials) / max(len(trials), 1)


def most_telling(names: Sequence[str], trials: Sequence[Axes]) -> str | None:
    """Return the numeric axis to plot against: the learning rate, else the most varied one."""
    numeric = [
        name
        for name in names
        if all(_is_number(axes[name]) for axes in trials if name in axes)
        and len({axes[name] for axes in trials if name in axes}) > 1
    ]
    rates = [name for name in numeric if name.endswith("learning_rate") or name == "lr"]
    varied = sorted(numeric, key=lambda name: -len({axes.get(name) for axes in trials}))
    return next(iter([*rates, *varied]), None)


def _shown(trials: Sequence[Axes]) -> list[str]:
    """Return the axes that get a column: those of most trials first, then by appearance."""
    names = dict.fromkeys(name for axes in trials for name in axes)
    return sorted(names, key=lambda name: -share_of(name, trials))[:_MOST_AXES]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _section(search: str) -> str:
    return f"section-{hashlib.sha256(search.encode()).hexdigest()[:12]}"


def _charts(search: str, common: Sequence[str], telling: str | None) -> list[dict[str, Any]]:
    base: dict[str, Any] = {
        "metricSectionId": _section(search),
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
    }
    curves = base | {
        "uuid": "curves",
        "type": "LINE",
        "displayName": "Dev EER by epoch",
        "metricKey": "dev_eer",
        "selectedMetricKeys": ["dev_eer"],
        "scaleType": "linear",
        "xAxisKey": "step",
        "xAxisScaleType": "log",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "ignoreOutliers": False,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
        "lineSmoothness": 0,
    }
    parallel = base | {
        "uuid": "axes",
        "type": "PARALLEL",
        "displayName": "Axes and best dev EER",
        "selectedParams": list(common),
        "selectedMetrics": ["best_dev_eer"],
        "showAllRuns": True,
    }
    scatter = base | {
        "uuid": "telling",
        "type": "SCATTER",
        "displayName": f"{telling} and best dev EER",
        "xaxis": {"key": telling, "type": "PARAM"},
        "yaxis": {"key": "best_dev_eer", "type": "METRIC"},
    }
    return [
        *([parallel] if common else []),
        curves,
        *([scatter] if telling is not None else []),
    ]
