"""Small folders laid out as MUSAN and RIRS_NOISES are."""

from pathlib import Path

import numpy as np
import soundfile

MUSAN = (
    "musan/noise/free-sound/noise-free-sound-{:04d}.wav",
    "musan/music/fma/music-fma-{:04d}.wav",
    "musan/speech/librivox/speech-librivox-{:04d}.wav",
)
RIRS_NOISES = (
    "RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-{:05d}.wav",
    "RIRS_NOISES/simulated_rirs/mediumroom/Room002/Room002-{:05d}.wav",
    "RIRS_NOISES/simulated_rirs/largeroom/Room003/Room003-{:05d}.wav",
    "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla{}.wav",
    "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_{}.wav",
    "RIRS_NOISES/pointsource_noises/noise-free-sound-{:04d}.wav",
)


def write_noise_set(folder: Path, forms: tuple[str, ...], each: int = 5) -> Path:
    """Write so many files of each form, of noise that differs; real rooms have two channels."""
    for place, form in enumerate(forms):
        for number in range(each):
            path = folder / form.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            chance = np.random.default_rng([place, number])
            channels = 2 if "_rir_" in form else 1
            samples = 0.1 * chance.standard_normal((2000, channels))
            samples[100] = 0.9
            soundfile.write(path, samples, 16_000)
    return folder
