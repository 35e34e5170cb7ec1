"""Measure the CPU time of each step of augmentation and of each condition.

python -m bench.hearing
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from spkmodel.augment import Augmenter, speed
from spkmodel.augment.conditions import apply_to_stored
from spkmodel.augment.noise_and_rooms import NoiseAndRooms, open_noise_and_rooms
from spkmodel.augment.spec_augment import FrameMasks
from spkmodel.config import Augment, Babble, DataPP, LogMel, SpecAugment
from spkmodel.core.condition_names import CONDITIONS, Condition

BATCH, SECONDS, REPEATS = 64, 1.5, 9
UTTERANCES, UTTERANCE_SECONDS = 20, 4.0

STEPS: dict[str, Augment] = {
    "gain, filter, room and ambience": Augment(
        gain_db=6, filter_probability=1, room_probability=1, noise_probability=1
    ),
    "gain": Augment(gain_db=6),
    "filter": Augment(filter_probability=1),
    "room": Augment(room_probability=1),
    "ambience": Augment(noise_probability=1),
    "babble": Augment(babble=Babble(probability=1)),
    **{f"DataPP, entry {n}": Augment(data_pp=DataPP.from_entry(n)) for n in (39, 40, 41, 125)},
}


def main() -> None:
    torch.set_num_threads(1)
    print(f"one thread; batches of {BATCH} crops of {SECONDS} s, every step in every crop, and")
    print(f"utterances of {UTTERANCE_SECONDS} s; medians of {REPEATS} rounds, milliseconds of each")
    generator = torch.Generator().manual_seed(0)
    samples = int(SECONDS * 16000)
    crops = 0.1 * torch.randn(BATCH, samples, generator=generator)
    speakers = torch.arange(BATCH)
    around = open_noise_and_rooms(None, None, "train")
    for name, config in STEPS.items():
        augmenter = Augmenter(config, around)
        _tell(name, BATCH, partial(augmenter, crops, generator, speakers))
    for rate in (0.9, 1.1):
        length = speed.samples_read(samples, rate) + 2 * speed.samples_around(rate)
        read = 0.1 * torch.randn(BATCH, length, generator=generator)
        _tell(f"speed {rate}", BATCH, partial(speed.change_speed, read, rate, samples))
    frames = torch.randn(BATCH, LogMel().mels, 151, generator=generator)
    masks = FrameMasks(SpecAugment(probability=1))
    with torch.random.fork_rng():
        _tell("SpecAugment", BATCH, lambda: masks(frames))
    chance = np.random.default_rng(0)
    length = int(UTTERANCE_SECONDS * 16000)
    utterances = (3000 * chance.standard_normal((UTTERANCES, length))).astype(np.int16)
    dev = open_noise_and_rooms(None, None, "dev")
    for condition in CONDITIONS:
        _tell(
            f"condition {condition}",
            UTTERANCES,
            partial(_heard, condition, utterances, dev),
        )


def _heard(condition: Condition, utterances: np.ndarray, dev: NoiseAndRooms) -> None:
    for number, utterance in enumerate(utterances):
        apply_to_stored(condition, utterance, str(number), dev)


def _tell(name: str, count: int, work: Callable[[], object]) -> None:
    work()
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    print(f"{name:34s} {1000 * sorted(seconds)[REPEATS // 2] / count:8.3f} ms")


if __name__ == "__main__":
    main()
