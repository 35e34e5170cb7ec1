"""Find the threshold that was chosen on dev pairs for a model: what a user of it applies.

It is that of the model's promotion, for the default protocol: another way of scoring has other
scores.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.core.atomic_folder import read_report
from search.core.paths import home

if TYPE_CHECKING:
    from search.models.loader import Model

_PROMOTION = "spksearch.promotion/"


def find_dev_threshold(model: "Model") -> float | None:
    """Return the threshold of the promotion of these weights; None if they were not promoted here.

    Looked for in the folder that the model was read from, and in that of its trial's promotion.
    """
    places = [Path(model.source)]
    if model.search and model.trial:
        name = f"{model.trial}-{model.epoch}"
        places.append(home() / model.search / "promoted" / name)
    for place in places:
        found = read_report(place) if place.is_dir() else None
        if (
            found is not None
            and str(found.get("schema", "")).startswith(_PROMOTION)
            and found["model"]["sha256"] == model.sha256
        ):
            return float(found["dev"]["threshold"])
    return None


def rates_at_dev_threshold(
    threshold: float | None, scores: np.ndarray, targets: np.ndarray
) -> dict[str, Any] | None:
    """Return the threshold with the error rates that it gives on pairs; None without one."""
    from spkmodel.verification import metrics

    if threshold is None:
        return None
    miss, false_alarm = metrics.rates_at(scores, targets, threshold)
    return {"threshold": threshold, "miss": miss, "false_alarm": false_alarm}
