"""A small corpus of the built-in one's voices, to be changed into a case."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from spkmodel.data.demo.corpus import make_demo_corpus

RATE = 16_000
TRAIN, DEV, TEST, EACH = 5, 3, 3, 3


@dataclass
class Case:
    """A corpus to be changed: what its lists say."""

    folder: Path
    training: list[tuple[str, str]]
    """Speaker and path."""
    dev: list[tuple[int, str, str]]

    def write(self, name: str, rows: Iterable[tuple[object, ...]], separator: str = " ") -> None:
        """Write a list in place of what it was."""
        text = "".join(separator.join(map(str, row)) + "\n" for row in rows)
        (self.folder / name).write_text(text)

    def samples(self, path: str) -> np.ndarray:
        """Return the samples of an utterance, floats."""
        return soundfile.read(self.folder / path)[0]

    def set_samples(self, path: str, samples: np.ndarray, rate: int = RATE, form="PCM_16") -> None:
        """Replace an utterance."""
        soundfile.write(self.folder / path, samples, rate, subtype=form)

    def remove_lists(self) -> None:
        """Leave the layout alone."""
        for path in self.folder.glob("*.txt"):
            path.unlink()

    def patch_length(self, path: str, length: int) -> None:
        """Give a WAV the data length that a writer leaves which could not seek back."""
        data = bytearray((self.folder / path).read_bytes())
        place = data.index(b"data") + 4
        data[place : place + 4] = struct.pack("<I", length)
        (self.folder / path).write_bytes(data)


def make_base(demo: Path, folder: Path) -> Path:
    """Make the corpus that every case starts from: some voices of the built-in one, as WAV."""
    make_demo_corpus(demo, TRAIN + DEV + TEST, EACH)
    for number, voice in enumerate(sorted((demo / "wav").iterdir())):
        for utterance, path in enumerate(sorted(voice.iterdir())):
            name = folder / "wav" / f"s{number:02d}" / f"u{utterance}.wav"
            name.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(name, soundfile.read(path)[0][: RATE // 2], RATE, subtype="PCM_16")
    return folder


def draw_pairs(first: int, speakers: int) -> list[tuple[int, str, str]]:
    """Return three target and three non-target pairs of each of some speakers."""
    numbers = range(first, first + speakers)
    pairs = []
    for number, stranger in zip(numbers, [*numbers[1:], first], strict=True):
        for utterance in range(EACH):
            own, other = (f"u{each % EACH}.wav" for each in (utterance, utterance + 1))
            pairs.append((1, f"wav/s{number:02d}/{own}", f"wav/s{number:02d}/{other}"))
            pairs.append((0, f"wav/s{number:02d}/{own}", f"wav/s{stranger:02d}/{other}"))
    return pairs
