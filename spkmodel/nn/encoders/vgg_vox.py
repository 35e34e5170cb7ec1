"""VGG-M over mel frames, as voxceleb_trainer has it; see `config.VGGVox`."""

from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import VGGVox
from spkmodel.nn import features, pooling

_SHORTEST = 63  # frames, of which one is left before the pooling over time


def build(config: VGGVox) -> "VGGVoxEncoder":
    """Build the network of a config, with freshly drawn weights."""
    one, two, three, four, five, six = config.channels
    pool = pooling.build(config.pooling, six)
    return VGGVoxEncoder(
        front_end=features.build(config.features),
        convolutions=nn.Sequential(
            *_layer(nn.Conv2d(1, one, (5, 7), stride=(1, 2), padding=2)),
            nn.MaxPool2d((1, 3), stride=(1, 2)),
            *_layer(nn.Conv2d(one, two, 5, stride=2, padding=1)),
            nn.MaxPool2d(3, stride=2),
            *_layer(nn.Conv2d(two, three, 3, padding=1)),
            *_layer(nn.Conv2d(three, four, 3, padding=1)),
            *_layer(nn.Conv2d(four, five, 3, padding=1)),
            nn.MaxPool2d(3, stride=2),
            *_layer(nn.Conv2d(five, six, (4, 1))),
        ),
        pool=pool,
        head=nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(pool.out_dim, config.embedding_dim)
        ),
    )


class VGGVoxEncoder(nn.Module):
    """Convolutions that end with no frequency left, pooling over time, dense."""

    def __init__(
        self, front_end: nn.Module, convolutions: nn.Module, pool: nn.Module, head: nn.Module
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.convolutions = convolutions
        self.pool = pool
        self.head = head

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        frames = repeated(self.front_end(waveforms), _SHORTEST)
        maps = self.convolutions(frames.unsqueeze(1))  # (batch, channels, 1, time)
        return self.head(self.pool(maps.squeeze(2)))


def repeated(
    frames: Float[Tensor, "batch mels time_in"], shortest: int
) -> Float[Tensor, "batch mels time"]:
    """Repeat frames from their beginning until there are `shortest`; keep longer ones."""
    missing = shortest - frames.shape[2]
    if missing <= 0:
        return frames
    return frames.repeat(1, 1, 1 + -(-missing // frames.shape[2]))[:, :, :shortest]


def _layer(convolution: nn.Conv2d) -> list[nn.Module]:
    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()]
