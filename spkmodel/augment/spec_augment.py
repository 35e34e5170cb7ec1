"""Mask bands and stretches of frames in training; see `config.SpecAugment`."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from spkmodel.config import SpecAugment
from spkmodel.core.device_copy import copy_to_device


class FrameMasks(nn.Module):
    """SpecAugment's masks (Park et al. 2019, arXiv:1904.08779, section 2), while training.

    What is masked takes the utterance's mean over bands and time: so the mask is as loud as the
    utterance whatever the frames' normalisation, where zero would be its mean for normalised
    frames alone, and a signal of its own for the others. Draws come from torch's own generator on
    the CPU, which a training seeds for every epoch.
    """

    def __init__(self, config: SpecAugment) -> None:
        super().__init__()
        self._config = config

    def forward(self, frames: Float[Tensor, "batch mels time"]) -> Float[Tensor, "batch mels time"]:
        if not self.training:
            return frames
        config, (batch, mels, time) = self._config, frames.shape
        chosen = torch.rand(batch) < config.probability
        bands = draw_spans(batch, config.frequency_masks, config.frequency_width_mels, mels)
        stretches = draw_spans(batch, config.time_masks, config.time_width_frames, time)
        # A mask of bands and one of frames are copied; the mask of both is made on the device.
        bands = copy_to_device(bands & chosen.unsqueeze(1), frames.device)
        stretches = copy_to_device(stretches & chosen.unsqueeze(1), frames.device)
        masked = bands.unsqueeze(2) | stretches.unsqueeze(1)
        mean = frames.mean(dim=(1, 2), keepdim=True)
        return torch.where(masked, mean, frames)


def draw_spans(batch: int, count: int, widest: int, size: int) -> Bool[Tensor, "batch size"]:
    """Draw `count` spans on an axis: widths uniform from 0 to `widest`, positions uniform.

    A span is at most as wide as the axis.
    """
    widths = (torch.rand(batch, count, 1) * (min(widest, size) + 1)).floor()
    starts = (torch.rand(batch, count, 1) * (size - widths + 1)).floor()
    places = torch.arange(size)
    return ((places >= starts) & (places < starts + widths)).any(dim=1)
