"""A corpus: a folder of audio, its lists read or made, and every promise between them kept.

Who speaks a pair's utterance is read off its path: the folder whose names tell the training
speakers apart, by default the first one below an optional `wav/`.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from spkmodel.core.progress import Progress, silent
from spkmodel.data import audio, splits
from spkmodel.data.lists import (
    CorpusError,
    ListError,
    Pair,
    TrainEntry,
    read_pairs,
    read_train_list,
    require_present,
    utterance_problem,
    write_pairs,
    write_train_list,
)

TRAIN_LIST = "train_list.txt"
DEV_LIST = "valid_trials.txt"
TEST_LIST = "test_trials.txt"
SPLITS = ("train", "dev", "test")

_SUFFIXES = (".wav", ".flac", ".ogg")

_SILENT_PEAK = 33
_CLIPPED_FRACTION = 0.001


@dataclass(frozen=True)
class Corpus:
    """What is learnt from and what is judged by; ids are paths relative to the folder."""

    folder: Path
    train: tuple[TrainEntry, ...]
    dev_pairs: tuple[Pair, ...]
    test_pairs: tuple[Pair, ...]
    dev_from_train: bool
    """The dev pairs are of speakers carved out of the training utterances."""
    speaker_of: Mapping[str, str]
    test_list: Path | None

    def of_split(self, split: str) -> list[str]:
        """Utterances of "train", "dev" or "test", in the order of the list."""
        return list(self._members[split])

    def splits_of(self, path: str) -> tuple[str, ...]:
        """More than one only where an overlap was insisted on."""
        return tuple(split for split in SPLITS if path in self._members[split])

    def split_of(self, path: str) -> str:
        """The first of train, dev and test that has the utterance."""
        return self.splits_of(path)[0]

    def utterances(self) -> list[str]:
        """All of them, each once: train, dev, test."""
        return list({path: None for split in SPLITS for path in self._members[split]})

    def longest_seconds(self, enough: float) -> float:
        """Length of the longest training utterance, or of the first that lasts `enough`.

        Read from the files' headers; where some last long enough, from those of the first few.

        Raises:
            audio.AudioError: for a file without a usable header.
        """
        longest = 0.0
        for entry in self.train:
            longest = max(longest, audio.seconds(self.folder / entry.path))
            if longest >= enough:
                break
        return longest

    @cached_property
    def _members(self) -> dict[str, dict[str, None]]:
        return {
            "train": {entry.path: None for entry in self.train},
            "dev": dict.fromkeys(_paths(self.dev_pairs)),
            "test": dict.fromkeys(_paths(self.test_pairs)),
        }


@dataclass(frozen=True)
class CorpusReport:
    """What `check` found, by split."""

    speakers: dict[str, int]
    utterances: dict[str, int]
    seconds: dict[str, float]
    target_pairs: dict[str, int]
    non_target_pairs: dict[str, int]
    silent: int
    """Utterances whose peak is below a thousandth of full scale."""
    clipped: int
    """Utterances with more than a thousandth of their samples at full scale."""
    problems: list[str]


def open_corpus(folder: Path, seed: int = 0, allow_overlap: bool = False) -> Corpus:
    """Read a corpus's lists, or make in memory those that are missing.

    Args:
        folder: with lists, or `wav/<speaker>/.../<utterance>.(wav|flac|ogg)`, or both.
        seed: of the choice of dev speakers, where `valid_trials.txt` is missing.
        allow_overlap: let a speaker be in two of train, dev and test.

    Raises:
        ListError: for a wrong line, a missing utterance, a label that contradicts the speakers.
        CorpusError: for what concerns the corpus as a whole.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder; a corpus is one, with wav/ or lists in it")
    lists = {name: folder / name for name in (TRAIN_LIST, DEV_LIST, TEST_LIST)}
    found = {name for name, path in lists.items() if os.path.lexists(path)}
    train = read_train_list(lists[TRAIN_LIST]) if TRAIN_LIST in found else _from_layout(folder)
    dev_pairs = read_pairs(lists[DEV_LIST]) if DEV_LIST in found else []
    test_pairs = read_pairs(lists[TEST_LIST]) if TEST_LIST in found else []
    require_present(
        folder,
        {
            lists[TRAIN_LIST]: [(entry.path,) for entry in train],
            lists[DEV_LIST]: [(pair.enrolment, pair.test) for pair in dev_pairs],
            lists[TEST_LIST]: [(pair.enrolment, pair.test) for pair in test_pairs],
        },
    )
    speaker_of = _speakers(train, _paths([*dev_pairs, *test_pairs]))
    _require_true_labels(lists[DEV_LIST], dev_pairs, speaker_of)
    _require_true_labels(lists[TEST_LIST], test_pairs, speaker_of)
    if TRAIN_LIST not in found:
        judged = {speaker_of[path] for path in _paths([*dev_pairs, *test_pairs])}
        train = [entry for entry in train if entry.speaker not in judged]
    # Without anybody to train on, pairs alone are a corpus too: for evaluation.
    dev_from_train = DEV_LIST not in found and (bool(train) or not test_pairs)
    if dev_from_train:
        train, dev_pairs = splits.carved(train, seed)
    corpus = Corpus(
        folder=folder,
        train=tuple(train),
        dev_pairs=tuple(dev_pairs),
        test_pairs=tuple(test_pairs),
        dev_from_train=dev_from_train,
        speaker_of=speaker_of,
        test_list=lists[TEST_LIST] if TEST_LIST in found else None,
    )
    if not allow_overlap:
        _require_apart(corpus)
    return corpus


def check(
    corpus: Corpus,
    progress: Progress = silent,
    read: Callable[[str], np.ndarray] | None = None,
) -> CorpusReport:
    """Open every utterance of the corpus; problems are collected, not raised.

    Args:
        corpus: whose lists are read already.
        progress: told utterances.
        read: an utterance's samples by its path; by default from its file.
    """
    read = read or (lambda path: audio.read(corpus.folder / path))
    paths = corpus.utterances()
    seconds = dict.fromkeys(paths, 0.0)
    problems: list[str] = []
    quiet = clipped = 0
    findings = audio.in_parallel(lambda path: _inspect(path, read), paths)
    for done, (path, found) in enumerate(zip(paths, findings, strict=True), 1):
        if isinstance(found, audio.AudioError):
            problems.append(str(found))
        else:
            seconds[path], is_quiet, is_clipped = found
            quiet += is_quiet
            clipped += is_clipped
        progress(done, len(paths))
    members = {split: corpus.of_split(split) for split in SPLITS}
    pairs = {"dev": corpus.dev_pairs, "test": corpus.test_pairs}
    return CorpusReport(
        speakers={
            split: len({corpus.speaker_of[path] for path in paths})
            for split, paths in members.items()
        },
        utterances={split: len(paths) for split, paths in members.items()},
        seconds={split: sum(seconds[path] for path in paths) for split, paths in members.items()},
        target_pairs={split: sum(p.target for p in some) for split, some in pairs.items()},
        non_target_pairs={split: sum(not p.target for p in some) for split, some in pairs.items()},
        silent=quiet,
        clipped=clipped,
        problems=problems,
    )


def split(
    folder: Path,
    seed: int = 0,
    dev_speakers: int | None = None,
    test_speakers: int | None = None,
    pairs: int = splits.PAIRS,
    assigned: Mapping[str, str] | None = None,
    test_pairs: Sequence[Pair] | None = None,
) -> Corpus:
    """Write the three lists of a corpus that has only its `wav/<speaker>/` layout.

    Args:
        folder: where `wav/` is and the lists go.
        seed: decides who goes where and which pairs are drawn.
        dev_speakers: a fifth of all by default, at least 2 and at most 100.
        test_speakers: likewise.
        pairs: in each of the two lists of pairs; half are target pairs. Fewer where the
            utterances allow no more.
        assigned: speakers with a split of their own ("train", "dev" or "test"), such as a public
            corpus has them. A split that nobody was assigned to is drawn from those in "train" and
            those without one; a split that somebody was assigned to gets nobody else.
        test_pairs: an official list, instead of drawn pairs.
    """
    for name in (TRAIN_LIST, DEV_LIST, TEST_LIST):
        if os.path.lexists(folder / name):
            raise CorpusError(f"{folder / name} is there already; move it away to split anew")
    rng = np.random.default_rng(seed)
    entries = _from_layout(folder)
    parts = splits.parted(entries, assigned or {}, dev_speakers, test_speakers, rng)
    if test_pairs is None:
        test_pairs = splits.balanced_pairs(parts["test"], pairs, rng)
    write_pairs(folder / DEV_LIST, splits.balanced_pairs(parts["dev"], pairs, rng))
    write_pairs(folder / TEST_LIST, test_pairs)
    write_train_list(folder / TRAIN_LIST, parts["train"])
    return open_corpus(folder)


def with_pairs(corpus: Corpus, path: Path, pairs: Sequence[Pair]) -> Corpus:
    """The corpus with the utterances of one more list of test pairs, where they lie in its folder.

    Args:
        corpus: which may have them already; it is then returned as it is.
        path: of the list, for messages.
        pairs: entry i stands on line i + 1.

    Raises:
        ListError: for an utterance that is not there, or a label that contradicts the speakers.
    """
    fresh = [name for name in _paths(pairs) if name not in corpus.speaker_of]
    if not fresh:
        return corpus
    require_present(corpus.folder, {path: [(pair.enrolment, pair.test) for pair in pairs]})
    speaker_of = _speakers(corpus.train, fresh) | dict(corpus.speaker_of)
    _require_true_labels(path, pairs, speaker_of)
    return replace(corpus, test_pairs=(*corpus.test_pairs, *pairs), speaker_of=speaker_of)


def _paths(pairs: Iterable[Pair]) -> list[str]:
    return list({path: None for pair in pairs for path in (pair.enrolment, pair.test)})


# --- what is there ---------------------------------------------------------------------------


def _from_layout(folder: Path) -> list[TrainEntry]:
    """Every audio file below `wav/<speaker>/`, sorted; hidden files and folders are left alone."""
    top = folder / "wav"
    if not top.is_dir():
        raise CorpusError(
            f"{folder} has neither {TRAIN_LIST} nor a folder wav; a corpus has "
            "wav/<speaker>/.../<utterance>.(wav|flac|ogg), or lists"
        )
    entries: list[TrainEntry] = []
    for at, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (Path(at) / name).is_symlink():
                raise CorpusError(
                    f"{Path(at) / name} is a link to a folder; only wav itself may be one"
                )
        for name in sorted(names):
            if name.lower().endswith(_SUFFIXES) and not name.startswith("."):
                entries.append(_layout_entry(folder, Path(at) / name))
    if not entries:
        raise CorpusError(f"{top} has no .wav, .flac or .ogg file in it")
    return entries


def _layout_entry(folder: Path, file: Path) -> TrainEntry:
    path = file.relative_to(folder)
    if problem := utterance_problem(path.as_posix()):
        raise CorpusError(f"{folder}: {problem}; rename it")
    if len(path.parts) < 3:
        raise CorpusError(f"{file} is in no speaker's folder; put it into wav/<speaker>/")
    return TrainEntry(speaker=path.parts[1], path=path.as_posix())


# --- who speaks -------------------------------------------------------------------------------


def _speakers(train: Sequence[TrainEntry], paired: Sequence[str]) -> dict[str, str]:
    speaker_of = {entry.path: entry.speaker for entry in train}
    depth, names = _telling_folder(train)
    for path in paired:
        if path not in speaker_of:
            folders = _folders(path)
            if len(folders) <= depth:
                raise CorpusError(
                    f"{path}: its folders do not tell who speaks; put utterances of pairs into "
                    "wav/<speaker>/, or where the training list has its speakers' folders"
                )
            speaker_of[path] = names.get(folders[depth], folders[depth])
    return speaker_of


def _telling_folder(train: Sequence[TrainEntry]) -> tuple[int, dict[str, str]]:
    """The first depth where no folder name is of two speakers, and whose each name there is."""
    folders = [_folders(entry.path) for entry in train]
    for depth in range(min(map(len, folders), default=0)):
        names: dict[str, str] = {}
        for parts, entry in zip(folders, train, strict=True):
            if names.setdefault(parts[depth], entry.speaker) != entry.speaker:
                break
        else:
            return depth, names
    return 0, {}


def _folders(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).parts[:-1]
    return parts[1:] if parts[:1] == ("wav",) else parts


def _require_true_labels(path: Path, pairs: Sequence[Pair], speaker_of: Mapping[str, str]) -> None:
    for number, pair in enumerate(pairs, 1):
        enrolled, tested = speaker_of[pair.enrolment], speaker_of[pair.test]
        if pair.target != (enrolled == tested):
            speakers = f"speaker {enrolled}" if enrolled == tested else f"{enrolled} and {tested}"
            raise ListError(
                path,
                number,
                f"label {int(pair.target)} for a pair of {speakers}, by the folders of its "
                f"utterances; it should be {int(not pair.target)}",
            )


def _require_apart(corpus: Corpus) -> None:
    speakers = {
        split: {corpus.speaker_of[path] for path in corpus.of_split(split)} for split in SPLITS
    }
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        shared = sorted(speakers[one] & speakers[other])
        if shared:
            some = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
            raise CorpusError(
                f"{corpus.folder}: {len(shared)} speakers are in both {one} and {other}: {some}; "
                "keep each speaker in one of train, dev and test, or insist with --allow-overlap"
            )


# --- what an utterance is ----------------------------------------------------------------------


def _inspect(
    path: str, read: Callable[[str], np.ndarray]
) -> tuple[float, bool, bool] | audio.AudioError:
    """Seconds, whether it is silent, whether it is clipped; or why it cannot be used."""
    try:
        waveform = read(path)
    except audio.AudioError as error:
        return error
    peaks = np.abs(waveform.astype(np.int32))
    return (
        len(waveform) / audio.SAMPLE_RATE,
        bool(peaks.max() < _SILENT_PEAK),
        bool((peaks >= 32767).mean() > _CLIPPED_FRACTION),
    )
