"""ResNet-34 over mel frames, pooled over time alone; see `config.ResNet34`."""

from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import ResNet34
from spkmodel.nn import features, pooling
from spkmodel.nn.encoders.residual import normed, stage
from spkmodel.nn.memory_format import arrange_maps

_STRIDES = (1, 2, 2, 2)


def build(config: ResNet34) -> "ResNet34Encoder":
    """Build the network of a config, with freshly drawn weights."""
    pool = pooling.build(config.pooling, config.pooled_dim)
    stages = nn.Sequential()
    channels_in = config.channels[0]
    for channels, depth, stride in zip(config.channels, config.blocks, _STRIDES, strict=True):
        stages.extend(stage(channels_in, channels, depth, (stride, stride)))
        channels_in = channels
    encoder = ResNet34Encoder(
        front_end=features.build(config.features),
        stem=nn.Sequential(
            *normed(nn.Conv2d(1, config.channels[0], 3, padding=1, bias=False)), nn.ReLU()
        ),
        stages=stages,
        pool=pool,
        head=nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(pool.out_dim, config.embedding_dim)
        ),
    )
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return encoder


class ResNet34Encoder(nn.Module):
    """Mel frames as an image, residual stages, channels and bands pooled over time, dense."""

    def __init__(
        self,
        front_end: nn.Module,
        stem: nn.Module,
        stages: nn.Module,
        pool: nn.Module,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.stem = stem
        self.stages = stages
        self.pool = pool
        self.head = head

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        maps = self.stem(self.front_end(waveforms).unsqueeze(1))
        maps = self.stages(arrange_maps(maps))
        return self.head(self.pool(maps.flatten(1, 2)))  # pooled: (batch, channels * bands, time)
