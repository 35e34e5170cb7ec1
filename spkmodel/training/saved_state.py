"""Formats of a saved training, and whether one can be continued."""

from collections.abc import Mapping, Sequence
from typing import Any

from spkmodel.config import TrainConfig
from spkmodel.core.checkpoint import CheckpointError

FORMAT = 2
FORMAT_WITHIN_EPOCH = 3
"""Of a state in the middle of an epoch: versions that know only format 2 must refuse it."""


def check_loadable(state: Mapping[str, Any], config: TrainConfig, speakers: Sequence[str]) -> None:
    """Check that a state belongs to a training of this config and these training speakers.

    Raises:
        CheckpointError: if it is another training's, or a later version's.
    """
    if state["format"] > FORMAT_WITHIN_EPOCH:
        raise CheckpointError(
            f"the checkpoint is of format {state['format']}, this version of spksearch "
            f"knows up to {FORMAT_WITHIN_EPOCH}: go on with the version that wrote it"
        )
    # Not the signatures: an older version's lacks the fields that came since.
    if TrainConfig.model_validate(state["config"]) != config:
        raise CheckpointError(
            f"the checkpoint is of config {state['signature']}, "
            f"this training is of {config.signature}"
        )
    if state["speakers"] != list(speakers):
        raise CheckpointError("the checkpoint was trained on other speakers than this corpus lists")
