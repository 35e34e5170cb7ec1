"""Open a model by name or folder, with the threshold that was recorded when it was promoted.

A folder is read without Ray, MLflow or Optuna. Only a name in the registry needs MLflow.
"""

from pathlib import Path

from search.evaluation.dev_threshold import find_dev_threshold
from search.inference.speaker_model import SpeakerModel
from search.models import loader


def load_model(
    name_or_path: str | Path, device: str = "auto", tracking_uri: str | None = None
) -> SpeakerModel:
    """Load a model that embeds and scores.

    Args:
        name_or_path: the folder of a promoted model or of a checkpoint, `models:/NAME@ALIAS` or
            `models:/NAME/VERSION`, `SEARCH/TRIAL`, or a file that voxceleb_trainer saved.
        device: `cpu`, `cuda`, or `auto` for a GPU where there is one.
        tracking_uri: of the registry; by default as `spksearch` finds it.

    Raises:
        NotFound: no such model, search or trial.
        UsageError: it is no model, or it does not fit its own config.
        SpksearchError: its weights are not the ones that were recorded.
    """
    where = _choose_device(device)
    model = loader.load(str(name_or_path), where, tracking_uri)
    threshold = find_dev_threshold(model) if model.threshold is None else model.threshold
    return SpeakerModel(model, threshold, where)


def _choose_device(asked: str) -> str:
    if asked != "auto":
        return asked
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
