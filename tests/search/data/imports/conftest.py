"""Audio as other tools have it: wherever it lies, by any name."""

import numpy as np
import pytest
import soundfile


@pytest.fixture
def speak():
    """Writes an utterance of noise, and returns its path."""

    def write(path, seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.random.default_rng((seed, *map(ord, path.name))).normal(0, 0.1, 3200)
        soundfile.write(path, samples, 16_000, format="WAV", subtype="PCM_16")
        return path

    return write


@pytest.fixture
def disk(tmp_path, speak):
    """Six speakers with three utterances each, all in one folder, by their ids."""
    for speaker in "abcdef":
        for number in range(3):
            speak(tmp_path / "disk" / f"{speaker}-{number}.wav")
    return tmp_path / "disk"
