"""State dicts with the names and shapes of voxceleb_trainer's, their values drawn by name.

Written from the names and shapes of its saved files; widths are free, so that tests are quick.
"""

import math
import zlib
from functools import lru_cache

import numpy as np
import torch
import torchaudio


@lru_cache(maxsize=1000)
def _drawn(name, shape):
    """Return values that depend on the name alone, of a size that keeps activations near 1."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    if name.endswith("running_var"):
        return values.abs() + 0.5
    if name.endswith(("running_mean", "bias")):
        return values / 5
    if len(shape) == 1:
        return 1 + values / 5
    return values / math.sqrt(math.prod(shape[1:]))


class State(dict):
    """A state dict to which layers are added one by one."""

    def put(self, name, *shape):
        self[name] = _drawn(name, shape)

    def layer(self, name, *shape, bias=True):
        self.put(f"{name}.weight", *shape)
        if bias:
            self.put(f"{name}.bias", shape[0])

    def norm(self, name, width):
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            self.put(f"{name}.{leaf}", width)
        self[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def mels(self, prefix, mels, window=torch.hamming_window):
        self[f"{prefix}spectrogram.window"] = window(400)
        self[f"{prefix}mel_scale.fb"] = torchaudio.functional.melscale_fbanks(
            257, 0.0, 8000.0, mels, 16_000
        )


def _stages(state, channels, blocks):
    before = channels[0]
    for stage, (width, depth) in enumerate(zip(channels, blocks, strict=True), 1):
        for block in range(depth):
            name = f"layer{stage}.{block}"
            state.layer(f"{name}.conv1", width, before, 3, 3, bias=False)
            state.norm(f"{name}.bn1", width)
            state.layer(f"{name}.conv2", width, width, 3, 3, bias=False)
            state.norm(f"{name}.bn2", width)
            state.layer(f"{name}.se.fc.0", width // 8, width)
            state.layer(f"{name}.se.fc.2", width, width // 8)
            if block == 0 and stage > 1:
                state.layer(f"{name}.downsample.0", width, before, 1, 1, bias=False)
                state.norm(f"{name}.downsample.1", width)
            before = width


def resnet_l(channels=(8, 16, 24, 32), blocks=(1, 2, 1, 1), mels=40, encoder="SAP", dim=6):
    state = State()
    state.layer("conv1", channels[0], 1, 7, 7, bias=False)
    state.norm("bn1", channels[0])
    _stages(state, channels, blocks)
    state.mels("torchfb.", mels)
    state.layer("sap_linear", channels[-1], channels[-1])
    state.put("attention", channels[-1], 1)
    state.layer("fc", dim, channels[-1] * (2 if encoder == "ASP" else 1))
    return dict(state)


def resnet_v2(channels=(8, 16, 24, 32), blocks=(1, 2, 1, 1), mels=24, encoder="ASP", dim=6):
    state, pooled = State(), channels[-1] * mels // 8
    state.layer("conv1", channels[0], 1, 3, 3)
    state.norm("bn1", channels[0])
    _stages(state, channels, blocks)
    state["torchfb.0.flipped_filter"] = torch.tensor([[[-0.97, 1.0]]])
    state.mels("torchfb.1.", mels)
    state.layer("attention.0", 128, pooled, 1)
    state.norm("attention.2", 128)
    state.layer("attention.3", pooled, 128, 1)
    state.layer("fc", dim, pooled * (2 if encoder == "ASP" else 1))
    return dict(state)


def vggvox(encoder="SAP", dim=6):
    state, before = State(), 1
    shapes = ((96, 5, 7), (256, 5, 5), (384, 3, 3), (256, 3, 3), (256, 3, 3), (512, 4, 1))
    for place, (width, *kernel) in zip((0, 4, 8, 11, 14, 18), shapes, strict=True):
        state.layer(f"netcnn.{place}", width, before, *kernel)
        state.norm(f"netcnn.{place + 1}", width)
        before = width
    if encoder == "SAP":
        state.layer("sap_linear", 512, 512)
        state.put("attention", 512, 1)
    state.layer("fc", dim, 512)
    state.mels("torchfb.", 40, torch.hann_window)
    return dict(state)


def rawnet3(channels=32, encoder="ECA", dim=6, scale=8):
    state, width = State(), channels // scale
    state["preprocess.0.flipped_filter"] = torch.tensor([[[-0.97, 1.0]]])
    state["preprocess.1.weight"] = torch.tensor([0.9])
    state["preprocess.1.bias"] = torch.tensor([0.1])
    hz = torch.linspace(60, 7000, channels // 8).unsqueeze(1)
    state["conv1.filterbank.low_hz_"] = hz
    state["conv1.filterbank.band_hz_"] = torch.full_like(hz, 300.0)
    state["conv1.filterbank.window_"] = torch.hamming_window(251, periodic=False)[:125]
    state["conv1.filterbank.n_"] = 2 * math.pi * (torch.arange(-125, 0.0).view(1, -1) / 16_000)
    state.norm("bn1", channels // 4)
    for layer, before in ((1, channels // 4), (2, channels), (3, channels)):
        name = f"layer{layer}"
        state.layer(f"{name}.conv1", channels, before, 1)
        state.norm(f"{name}.bn1", channels)
        for group in range(scale - 1):
            state.layer(f"{name}.convs.{group}", width, width, 3)
            state.norm(f"{name}.bns.{group}", width)
        state.layer(f"{name}.conv3", channels, channels, 1)
        state.norm(f"{name}.bn3", channels)
        state.put(f"{name}.afms.alpha", channels, 1)
        state.layer(f"{name}.afms.fc", channels, channels)
        if before != channels:
            state.layer(f"{name}.residual.0", channels, before, 1, bias=False)
    state.layer("layer4", 1536, 3 * channels, 1)
    state.layer("attention.0", 128, 4608, 1)
    state.norm("attention.2", 128)
    state.layer("attention.3", 1536 if encoder == "ECA" else 1, 128, 1)
    state.norm("bn5", 3072)
    state.layer("fc6", dim, 3072)
    state.norm("bn6", dim)
    return dict(state)


def speaker_net(encoder, loss=None):
    """Return the state with its loss, as the trainer saves it."""
    whole = {f"__S__.{name}": tensor for name, tensor in encoder.items()}
    return whole | {f"__L__.{name}": tensor for name, tensor in (loss or {}).items()}


def waveforms(samples=16_240):
    """Return three utterances of noise as 16-bit samples; the second is quiet, with a gap."""
    rng = np.random.default_rng(11)
    noise = rng.standard_normal((3, samples)) * np.array([[0.1], [0.0006], [0.3]])
    noise[1, samples // 3 : samples // 2] = 0
    return torch.from_numpy(np.clip(np.rint(noise * 32768), -32768, 32767) / 32768).float()
