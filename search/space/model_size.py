"""Count the weights that a config trains: the encoder's, and those of the loss."""

from dataclasses import dataclass
from functools import lru_cache

from spkmodel.config import Encoder, TrainConfig


@dataclass(frozen=True)
class WeightCount:
    """Numbers of trainable weights; a classifying loss has some for each speaker."""

    encoder: int
    head: int
    speakers: int
    """Number of speakers for which the head was counted."""

    @property
    def total(self) -> int:
        """The number that the log gives for a network: its OutBlock included."""
        return self.encoder + self.head


def count_encoder_weights(config: TrainConfig) -> int:
    """Return the number of weights of a config's encoder, without those of the loss."""
    return _count_encoder_weights(config.encoder)


@lru_cache(maxsize=256)
def _count_encoder_weights(config: Encoder) -> int:
    from spkmodel.nn import encoders

    return encoders.parameter_count(config)


def count_weights(config: TrainConfig, speakers: int) -> WeightCount:
    """Return the numbers of weights of a config trained on so many speakers.

    It neither allocates the weights nor draws random numbers.
    """
    import torch

    from spkmodel import losses
    from spkmodel.nn import encoders

    # Tensors on the meta device have shapes and no storage.
    with torch.device("meta"):
        loss = losses.build(
            config.loss, embedding_dim=config.encoder.embedding_dim, speakers=max(speakers, 2)
        )
    head = sum(weights.numel() for weights in loss.parameters())
    return WeightCount(encoders.parameter_count(config.encoder), head, speakers)
