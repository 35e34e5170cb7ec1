"""Set levels, and add what is heard beside the speech: an ambience, other people talking."""

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

_SILENCE = 1e-10
"""Mean power under which there is nothing to set a level against."""


def gain(
    waveforms: Float[Tensor, "batch samples"], gain_db: Float[Tensor, " batch"]
) -> Float[Tensor, "batch samples"]:
    """Change the level."""
    return waveforms * 10 ** (gain_db.unsqueeze(1) / 20)


def excerpt(
    ambience: Float[Tensor, " length"], offset: float, samples: int
) -> Float[Tensor, " samples"]:
    """Cut a stretch from `offset`, a fraction of the length, on; at its end it starts over."""
    start = int(offset * len(ambience))
    if start + samples <= len(ambience):
        return ambience[start : start + samples]
    repeats = -(-(start + samples) // len(ambience))
    return ambience.repeat(repeats)[start : start + samples]


def scale_to_snr(
    speech: Float[Tensor, "batch samples"],
    sounds: Float[Tensor, "batch samples"],
    snr_db: Float[Tensor, " batch"],
) -> Float[Tensor, "batch samples"]:
    """Scale sounds so that the mean speech power lies `snr_db` above their mean power.

    Nothing where one of the two is digital silence.
    """
    speech_power = speech.square().mean(dim=1)
    sound_power = sounds.square().mean(dim=1)
    audible = (speech_power > _SILENCE) & (sound_power > _SILENCE)
    wanted = speech_power / sound_power.clamp(min=_SILENCE) * 10 ** (-snr_db / 10)
    return torch.where(audible, wanted.sqrt(), 0.0).unsqueeze(1) * sounds


def add_ambience(
    waveforms: Float[Tensor, "batch samples"],
    ambience: Float[Tensor, "batch samples"],
    snr_db: Float[Tensor, " batch"],
) -> Float[Tensor, "batch samples"]:
    """Add ambiences at the given signal-to-noise ratio, of mean powers.

    Where one of them is digital silence, the waveform stays as it is.
    """
    return waveforms + scale_to_snr(waveforms, ambience, snr_db)


def draw_talkers(
    speakers: Int[Tensor, " batch"], talkers: Int[Tensor, " batch"], generator: torch.Generator
) -> Float[Tensor, "batch batch"]:
    """Draw the babble matrix: entry (i, j) is 1 where crop j talks behind crop i.

    As many as `talkers` says, each other crop as likely as the next; never one of the same speaker.

    Raises:
        ValueError: if there are not enough crops of other speakers.
    """
    others = speakers.unsqueeze(1) != speakers.unsqueeze(0)
    fewest = int(others.sum(dim=1).min())
    if fewest < int(talkers.max()):
        raise ValueError(
            f"augment.babble.talkers_high: a batch has a crop with {fewest} crops of other "
            f"speakers, but {int(talkers.max())} should talk behind it; use fewer talkers or more "
            "speakers in a batch"
        )
    keys = torch.rand(len(speakers), len(speakers), generator=generator)
    ranks = torch.where(others, keys, -1.0).argsort(dim=1, descending=True).argsort(dim=1)
    return (ranks < talkers.unsqueeze(1)).float()


def mix_talkers(
    excerpts: Float32[np.ndarray, "talkers samples"],
) -> Float32[np.ndarray, " samples"]:
    """Sum excerpts, all brought to the same mean power; digital silence stays out.

    A single one is returned as it is.
    """
    if len(excerpts) == 1:
        return excerpts[0]
    power = np.square(excerpts, dtype=np.float64).mean(axis=1)
    equal = np.where(power > _SILENCE, 1 / np.sqrt(np.maximum(power, _SILENCE)), 0)
    return np.asarray(equal @ excerpts / len(excerpts), dtype=np.float32)


def babble(
    waveforms: Float[Tensor, "batch samples"], talking: Float[Tensor, "rows batch"]
) -> Float[Tensor, "rows samples"]:
    """Sum the waveforms that `talking` has a 1 for, all brought to the same mean power."""
    power = waveforms.square().mean(dim=1)
    equal = torch.where(power > _SILENCE, power.clamp(min=_SILENCE).rsqrt(), 0.0)
    return (talking * equal) @ waveforms
