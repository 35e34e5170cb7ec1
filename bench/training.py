"""Measure the CPU time of a training step by encoder: augmentation against network.

python -m bench.training
"""

import time
from collections.abc import Callable

import torch

from spkmodel import config as c
from spkmodel.augment import Augmenter
from spkmodel.augment.noise_and_rooms import open_noise_and_rooms
from spkmodel.nn import encoders

SECONDS = 1.5
BATCH, REPEATS = 64, 5
LARGE_BATCH, LARGE_REPEATS = 4, 3
BASE = "TDNN 96"

ENCODERS: dict[str, c.Encoder] = {
    "TDNN 64": c.TDNN(channels=64),
    "TDNN 96": c.TDNN(channels=96),
    "TDNN 128 asp": c.TDNN(channels=128, pooling="asp"),
    "ResNetSE34L 8-64, one block a stage": c.ResNetSE34L(
        channels=(8, 16, 32, 64), blocks=(1, 1, 1, 1), features=c.LogMel(normalisation="fixed")
    ),
    "ResNetSE34L": c.ResNetSE34L(),
    "LogNet 7x32": c.LogNet(channels=(32,) * 7, resblocks=(0, 1, 1, 2, 2, 3, 3), dense=(256, 256)),
}
# At their published sizes, where a batch of 64 would take a minute and more.
LARGE: dict[str, c.Encoder] = {
    "ResNetSE34Half": c.ResNetSE34Half(),
    "ResNetSE34V2 asp, 64 mels": c.ResNetSE34V2(
        pooling="asp", features=c.LogMel(mels=64, normalisation="instance", pre_emphasis=0.97)
    ),
    "VGGVox": c.VGGVox(),
    "RawNet3": c.RawNet3(),
    "ECAPA-TDNN 512": c.ECAPATDNN(),
    "x-vector": c.XVector(),
    "ResNet-34": c.ResNet34(),
    "CAM++": c.CAMPlusPlus(),
}


def main() -> None:
    torch.set_num_threads(1)
    waveforms = 0.1 * torch.randn(BATCH, int(SECONDS * 16000))
    print(f"one thread, crops of {SECONDS} s, in batches of {BATCH}, or {LARGE_BATCH} (*)")
    augment = c.Augment(gain_db=6, filter_probability=1, room_probability=1, noise_probability=1)
    augmenter = Augmenter(augment, open_noise_and_rooms(None, None, "train"))
    generator = torch.Generator().manual_seed(0)
    milliseconds = {
        "gain, filter, room and noise": _per_crop(
            lambda crops: augmenter(crops, generator), waveforms, REPEATS
        )
    }
    for name, config in ENCODERS.items():
        milliseconds[name] = _per_crop(_step(encoders.build(config)), waveforms, REPEATS)
    few = waveforms[:LARGE_BATCH]
    for name, config in LARGE.items():
        milliseconds[f"{name} *"] = _per_crop(_step(encoders.build(config)), few, LARGE_REPEATS)
    for name, median in milliseconds.items():
        print(f"{name:38s} {median:8.2f} ms a crop  {median / milliseconds[BASE]:7.2f} x {BASE}")


def _step(encoder: torch.nn.Module) -> Callable[[torch.Tensor], None]:
    def step(crops: torch.Tensor) -> None:
        encoder.zero_grad()
        encoder(crops).square().mean().backward()

    return step


def _per_crop(work: Callable[[torch.Tensor], object], crops: torch.Tensor, repeats: int) -> float:
    """Return the median of some runs after a first one, in milliseconds a crop."""
    work(crops)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work(crops)
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2] * 1000 / len(crops)


if __name__ == "__main__":
    main()
