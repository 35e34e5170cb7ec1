"""A corpus of harmonic tones that a tiny network tells apart in an epoch or two."""

from pathlib import Path

import numpy as np
import soundfile

SPEAKERS = 10
UTTERANCES = 6


def voice(speaker: int, utterance: int, seconds: float = 1.0) -> np.ndarray:
    """Return a harmonic tone of the speaker's pitch and formant, int16."""
    chance = np.random.default_rng((speaker, utterance))
    time = np.arange(int(seconds * 16000)) / 16000
    pitch = 90 + 17 * speaker + chance.normal(0, 2)
    formant = 500 + 230 * speaker
    tone = sum(
        np.exp(-(((pitch * k - formant) / 400) ** 2)) * np.sin(2 * np.pi * pitch * k * time)
        for k in range(1, 30)
    )
    tone = tone + 0.05 * chance.standard_normal(len(time))
    return (8000 * tone / np.abs(tone).max()).astype(np.int16)


def write_corpus(folder: Path) -> Path:
    """Write ten speakers: six to train on, two for dev pairs, two for test pairs."""
    for speaker in range(SPEAKERS):
        for utterance in range(UTTERANCES):
            path = folder / _path(speaker, utterance)
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, voice(speaker, utterance), 16000)
    lines = [f"s{s} {_path(s, u)}" for s in range(6) for u in range(UTTERANCES)]
    (folder / "train_list.txt").write_text("\n".join(lines) + "\n")
    for name, (one, other) in {"valid_trials.txt": (6, 7), "test_trials.txt": (8, 9)}.items():
        pairs = []
        for u in range(UTTERANCES - 1):
            pairs.append(f"1 {_path(one, u)} {_path(one, u + 1)}")
            pairs.append(f"1 {_path(other, u)} {_path(other, u + 1)}")
            pairs.append(f"0 {_path(one, u)} {_path(other, u)}")
            pairs.append(f"0 {_path(other, u)} {_path(one, u + 1)}")
        (folder / name).write_text("\n".join(pairs) + "\n")
    return folder


def _path(speaker: int, utterance: int) -> str:
    return f"wav/s{speaker}/u{utterance}.flac"
