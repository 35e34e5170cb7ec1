"""CPU time of a training step, and where it goes: augmentation against network, by encoder.

python -m bench.training
"""

import time

import torch

from spkmodel import encoders
from spkmodel.augment import Augmenter
from spkmodel.config import TDNN, Augment, Encoder, LogMel, LogNet, ResNetSE34L
from spkmodel.surroundings import open_surroundings

BATCH, SECONDS, REPEATS = 64, 1.5, 5

ENCODERS: dict[str, Encoder] = {
    "TDNN 64": TDNN(channels=64),
    "TDNN 96": TDNN(channels=96),
    "TDNN 128 asp": TDNN(channels=128, pooling="asp"),
    "ResNetSE34L 8-64, one block a stage": ResNetSE34L(
        channels=(8, 16, 32, 64), blocks=(1, 1, 1, 1), features=LogMel(normalisation="fixed")
    ),
    "ResNetSE34L": ResNetSE34L(),
    "LogNet 7x32": LogNet(channels=(32,) * 7, resblocks=(0, 1, 1, 2, 2, 3, 3), dense=(256, 256)),
}


def main() -> None:
    torch.set_num_threads(1)
    waveforms = 0.1 * torch.randn(BATCH, int(SECONDS * 16000))
    print(f"one thread, {BATCH} crops of {SECONDS} s; medians of {REPEATS}; ratios to TDNN 96")
    augment = Augment(gain_db=6, filter_probability=1, room_probability=1, noise_probability=1)
    augmenter = Augmenter(augment, open_surroundings(None, None, "train"))
    generator = torch.Generator().manual_seed(0)
    seconds = {"gain, filter, room and noise": _median(lambda: augmenter(waveforms, generator))}
    for name, config in ENCODERS.items():
        encoder = encoders.build(config)
        seconds[name] = _median(lambda network=encoder: _step(network, waveforms))
    for name, median in seconds.items():
        ratio = median / seconds["TDNN 96"]
        print(f"{name:38s} {median * 1000:7.0f} ms  {ratio:6.2f}")


def _step(encoder: torch.nn.Module, waveforms: torch.Tensor) -> None:
    encoder.zero_grad()
    encoder(waveforms).square().mean().backward()


def _median(work: object) -> float:
    assert callable(work)
    work()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    main()
