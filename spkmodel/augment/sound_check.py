"""Check the recordings of a folder: what it has by category, and every problem of every file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spkmodel.augment import noise_and_rooms, sound_store
from spkmodel.augment.noise_and_rooms import SPLITS, Recordings
from spkmodel.augment.sound_categories import CATEGORIES, Kind, categorise
from spkmodel.core.progress import Progress, silent
from spkmodel.data import audio


@dataclass(frozen=True, slots=True)
class CategoryReport:
    """The recordings of one category; of a flat folder, all of them."""

    kind: Kind
    category: str
    """Empty for a flat folder."""
    files: int
    hours: float
    """As they are packed: rooms from their peak on."""
    splits: dict[str, int]
    """Files of train, dev and test."""


@dataclass(frozen=True, slots=True)
class NoiseReport:
    """What a folder has, and what is wrong with it."""

    categories: list[CategoryReport]
    problems: list[str]
    """One for each file or category that cannot be used; empty: training can use the folder."""


def find_kinds(folder: Path) -> tuple[Kind, ...]:
    """Return what the categories of a folder are of; empty for a flat folder.

    Raises:
        NoiseAndRoomsError: if there is no such folder.
    """
    found = set(categorise([file.name for file in sound_store.list_files(folder)]))
    return tuple(kind for kind, names in CATEGORIES.items() if found & set(names))


def check_recordings(
    folder: Path, kinds: Sequence[Kind] = (), progress: Progress = silent
) -> NoiseReport:
    """Read every audio file of a folder, and report all that is wrong.

    Args:
        folder: with ambiences or rooms, or with MUSAN or RIRS_NOISES, or with both of them.
        kinds: what its files are, where the folder is flat.
        progress: called with files.

    Raises:
        NoiseAndRoomsError: if there is no such folder.
    """
    files = sound_store.list_files(folder)
    names = categorise([file.name for file in files])
    found = [kind for kind, own in CATEGORIES.items() if set(names) & set(own)]
    problems = []
    if found:
        problems = [
            f"{folder / file.name}: in no folder of a category; move it elsewhere"
            for file, name in zip(files, names, strict=True)
            if not name
        ]
    reports: list[CategoryReport] = []
    done = 0
    for kind in found or kinds:
        kept = [n for n in range(len(files)) if not found or names[n] in CATEGORIES[kind]]
        own = Recordings(
            folder, kind, [files[n] for n in kept], [names[n] for n in kept] if found else ()
        )
        samples = []
        read = partial(sound_store.read_file, kind=kind, is_categorised=bool(found))
        for one in _read_all(own, read):
            done += 1
            progress(done, len(files) if found else len(files) * len(kinds))
            if isinstance(one, str):
                problems.append(one)
            samples.append(0 if isinstance(one, str) else len(one.samples))
        reports += _count(own, samples, problems)
    return NoiseReport(reports, problems)


def _read_all(
    own: Recordings, read: "partial[sound_store.ReadFile | str]"
) -> Iterable[sound_store.ReadFile | str]:
    return audio.in_parallel(read, [own.folder / file.name for file in own.files])


def _count(
    own: Recordings, samples: Sequence[int], problems: list[str]
) -> Iterable[CategoryReport]:
    splits = {split: noise_and_rooms.places_of_split(own, split) for split in SPLITS}
    for category, places in own.of_category().items():
        if len(places) < len(SPLITS):
            what = f"the category {category!r}" if category else "the folder"
            problems.append(
                f"{own.folder}: {what} has {len(places)} audio files; {len(SPLITS)} are needed, so "
                "that train, dev and test have different ones"
            )
        yield CategoryReport(
            own.kind,
            category,
            len(places),
            sum(samples[place] for place in places) / audio.SAMPLE_RATE / 3600,
            {split: len(parts[category]) for split, parts in splits.items()},
        )
