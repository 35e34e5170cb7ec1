"""Weights by a formula of their names, the same for two implementations of one network."""

import math
import zlib

import torch
from torch import Tensor


def fill(network: torch.nn.Module) -> torch.nn.Module:
    """Set all weights and running statistics of a network from their names and shapes alone."""
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if not name.startswith("front_end.spectrogram") and "mel_scale" not in name:
                values.copy_(formula_values(name, tuple(values.shape)))
    return network.eval()


def formula_values(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return noise that depends on the name alone, of the size that the name calls for."""
    phase = zlib.crc32(name.encode()) % 1_000
    steps = torch.arange(math.prod(shape), dtype=torch.float64)
    noise = (torch.sin(steps * 12.9898 + phase) * 43_758.5453).frac().reshape(shape)
    match name.rpartition(".")[2]:
        case "num_batches_tracked":
            return torch.tensor(1)
        case "running_var":
            return 1 + 0.5 * noise
        case "low_hz" | "band_hz":
            return 100 + 50 * noise
        case "weight" | "direction" if len(shape) > 1:
            fan_in = shape[0] if name.endswith("direction") else math.prod(shape[1:])
            return noise * math.sqrt(3 / fan_in)
        case "weight" | "offset":
            return 1 + 0.3 * noise
        case _:
            return 0.3 * noise


def voice(samples: int = 16_000) -> Tensor:
    """Return (2, samples): 30 harmonics around 700 Hz with noise, and the noise alone."""
    time = torch.arange(samples, dtype=torch.float64) / 16_000
    hiss = torch.arange(samples, dtype=torch.float64).square().mul(0.618).sin()
    buzz = sum(
        math.exp(-(((120 * k - 700) / 500) ** 2)) * torch.sin(2 * math.pi * 120 * k * time)
        for k in range(1, 31)
    )
    return torch.stack([0.1 * buzz + 0.02 * hiss, 0.1 * hiss]).float()
