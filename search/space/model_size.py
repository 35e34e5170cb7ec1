"""How many weights a config trains: the encoder's, and those of the loss."""

from dataclasses import dataclass
from functools import lru_cache

from spkmodel.config import Encoder, TrainConfig


@dataclass(frozen=True)
class Weights:
    """Trainable weights; a classifying loss has some for each speaker."""

    encoder: int
    head: int
    speakers: int
    """For which the head was counted."""

    @property
    def total(self) -> int:
        """What the log calls the network: its OutBlock included."""
        return self.encoder + self.head


def of_encoder(config: TrainConfig) -> int:
    """The weights of a config's encoder, whatever it is trained with."""
    return _of_encoder(config.encoder)


@lru_cache(maxsize=256)
def _of_encoder(config: Encoder) -> int:
    from spkmodel.nn import encoders

    return encoders.parameter_count(config)


def count(config: TrainConfig, speakers: int) -> Weights:
    """The weights of a config trained on so many speakers; takes neither memory nor chance."""
    import torch

    from spkmodel import losses
    from spkmodel.nn import encoders

    with torch.device("meta"):
        loss = losses.build(
            config.loss, embedding_dim=config.encoder.embedding_dim, speakers=max(speakers, 2)
        )
    head = sum(weights.numel() for weights in loss.parameters())
    return Weights(encoders.parameter_count(config.encoder), head, speakers)
