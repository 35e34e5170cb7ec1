"""A corpus of many short files, made in a moment."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def make_small_corpus(folder: Path, speakers=6, utterances=6):
    """Write `wav/s0/u0.wav` and so on, no two of the same length, and a list of pairs."""
    rng = np.random.default_rng(0)
    for speaker in range(speakers):
        for number in range(utterances):
            path = folder / f"wav/s{speaker}/u{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = 2000 + 100 * speaker + 7 * number
            noise = rng.integers(-9000, 9000, samples, dtype=np.int16)
            soundfile.write(path, noise, RATE)
    one, other = speakers - 2, speakers - 1
    (folder / "valid_trials.txt").write_text(
        f"1 wav/s{one}/u0.wav wav/s{one}/u1.wav\n0 wav/s{one}/u0.wav wav/s{other}/u1.wav\n"
    )
    write_training_list(folder)
    return folder


def write_training_list(folder: Path, without=()):
    """List the files of all speakers but the last two, without some."""
    top = folder / "wav"
    speakers = sorted(path.name for path in top.iterdir())[:-2]
    paths = [path for speaker in speakers for path in sorted((top / speaker).iterdir())]
    rows = [(path.parent.name, path.relative_to(folder).as_posix()) for path in paths]
    text = "".join(f"{speaker} {path}\n" for speaker, path in rows if path not in without)
    (folder / "train_list.txt").write_text(text)
