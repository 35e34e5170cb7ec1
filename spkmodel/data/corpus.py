"""Open a corpus: a folder of audio whose lists are read, or made, and checked for consistency."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from spkmodel.core.shell import quote_path
from spkmodel.data import audio, splits
from spkmodel.data.corpus_layout import find_utterances, speakers_by_folder
from spkmodel.data.listed_files import require_present
from spkmodel.data.lists import (
    DEV_LIST,
    SPLITS,
    TEST_LIST,
    TRAIN_LIST,
    CorpusError,
    ListError,
    Pair,
    Report,
    TrainEntry,
    raise_problem,
    read_numbered_entries,
    read_numbered_pairs,
    write_pairs,
    write_train_list,
)


@dataclass(frozen=True)
class Corpus:
    """Training utterances, dev pairs and test pairs; ids are paths relative to the folder."""

    folder: Path
    train: tuple[TrainEntry, ...]
    dev_pairs: tuple[Pair, ...]
    test_pairs: tuple[Pair, ...]
    dev_from_train: bool
    """The dev pairs are of speakers carved out of the training utterances."""
    speaker_of: Mapping[str, str]
    test_list: Path | None

    def of_split(self, split: str) -> list[str]:
        """Return the utterances of "train", "dev" or "test", in the order of the list."""
        return list(self._members[split])

    def splits_of(self, path: str) -> tuple[str, ...]:
        """Return the splits of an utterance: more than one only if an overlap was allowed."""
        return tuple(split for split in SPLITS if path in self._members[split])

    def split_of(self, path: str) -> str:
        """Return the first of train, dev and test that has the utterance."""
        return self.splits_of(path)[0]

    def utterances(self) -> list[str]:
        """Return all utterances, each once: train, dev, test."""
        return list({path: None for split in SPLITS for path in self._members[split]})

    def longest_seconds(self, enough: float) -> float:
        """Return the length of the longest training utterance, or of the first that lasts `enough`.

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


def open_corpus(
    folder: Path, seed: int = 0, allow_overlap: bool = False, report: Report = raise_problem
) -> Corpus:
    """Read a corpus's lists, or make in memory those that are missing.

    Args:
        folder: with lists, or `wav/<speaker>/.../<utterance>.(wav|flac|m4a|...)`, or both.
        seed: of the choice of dev speakers, where `valid_trials.txt` is missing.
        allow_overlap: let a speaker be in two of train, dev and test.
        report: raises the first problem. One that keeps problems instead gets all of them, and the
            corpus is what is left without the lines that are wrong.

    Raises:
        ListError: for a wrong line, a missing utterance, a label that contradicts the speakers.
        CorpusError: for what concerns the corpus as a whole.
    """
    if not folder.is_dir():
        raise CorpusError(
            f"{quote_path(folder)} is not a folder; a corpus is one, with wav/ or lists in it"
        )
    problems = 0

    def count(problem: CorpusError | ListError) -> None:
        nonlocal problems
        problems += 1
        report(problem)

    lists = _read_lists(folder, report if report is raise_problem else count)
    train, dev_pairs, test_pairs = lists.train, lists.dev_pairs, lists.test_pairs
    # Without anybody to train on, pairs alone are a corpus too: for evaluation.
    dev_from_train = lists.makes_dev and (bool(train) or not test_pairs)
    if dev_from_train and (report is raise_problem or not problems):
        try:
            train, dev_pairs = splits.hold_out_dev(train, seed)
        except CorpusError as error:
            count(error)
    corpus = Corpus(
        folder=folder,
        train=tuple(train),
        dev_pairs=tuple(dev_pairs),
        test_pairs=tuple(test_pairs),
        dev_from_train=dev_from_train,
        speaker_of=lists.speaker_of,
        test_list=folder / TEST_LIST if lists.has_test_list else None,
    )
    if not allow_overlap:
        _require_apart(corpus, count)
    return corpus


@dataclass(frozen=True)
class _Lists:
    """What the lists of a folder say, or its layout where there is no training list."""

    train: list[TrainEntry]
    dev_pairs: list[Pair]
    test_pairs: list[Pair]
    speaker_of: dict[str, str]
    makes_dev: bool
    has_test_list: bool


def _read_lists(folder: Path, report: Report) -> _Lists:
    paths = {name: folder / name for name in (TRAIN_LIST, DEV_LIST, TEST_LIST)}
    found = {name for name, path in paths.items() if os.path.lexists(path)}
    if TRAIN_LIST in found:
        entries = read_numbered_entries(paths[TRAIN_LIST], report)
    else:
        entries = list(enumerate(find_utterances(folder, report), 1))
    pairs = {
        name: read_numbered_pairs(paths[name], report) if name in found else []
        for name in (DEV_LIST, TEST_LIST)
    }
    missing = require_present(
        folder,
        {paths[TRAIN_LIST]: [(number, (entry.path,)) for number, entry in entries]}
        | {paths[name]: _numbered_paths(some) for name, some in pairs.items()},
        report,
    )
    train = [entry for _, entry in entries if entry.path not in missing]
    speaker_of = speakers_by_folder(
        train,
        [
            each
            for each in _paths(p for some in pairs.values() for _, p in some)
            if each not in missing
        ],
        report,
    )
    for name, some in pairs.items():
        pairs[name] = [
            (number, pair)
            for number, pair in some
            if pair.enrolment in speaker_of and pair.test in speaker_of
        ]
        _require_true_labels(paths[name], pairs[name], speaker_of, report)
    dev_pairs, test_pairs = ([pair for _, pair in pairs[name]] for name in (DEV_LIST, TEST_LIST))
    if TRAIN_LIST not in found:
        paired_speakers = {speaker_of[path] for path in _paths([*dev_pairs, *test_pairs])}
        train = [entry for entry in train if entry.speaker not in paired_speakers]
    return _Lists(
        train, dev_pairs, test_pairs, speaker_of, DEV_LIST not in found, TEST_LIST in found
    )


def split_corpus(
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
            raise CorpusError(
                f"{quote_path(folder / name)} is there already; move it away to split anew"
            )
    rng = np.random.default_rng(seed)
    entries = find_utterances(folder)
    parts = splits.assign_splits(entries, assigned or {}, dev_speakers, test_speakers, rng)
    if test_pairs is None:
        test_pairs = splits.balanced_pairs(parts["test"], pairs, rng)
    write_pairs(folder / DEV_LIST, splits.balanced_pairs(parts["dev"], pairs, rng))
    write_pairs(folder / TEST_LIST, test_pairs)
    write_train_list(folder / TRAIN_LIST, parts["train"])
    return open_corpus(folder)


def with_pairs(corpus: Corpus, path: Path, pairs: Sequence[Pair]) -> Corpus:
    """Return the corpus extended by a list of test pairs whose utterances lie in its folder.

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
    numbered = list(enumerate(pairs, 1))
    require_present(corpus.folder, {path: _numbered_paths(numbered)})
    speaker_of = speakers_by_folder(corpus.train, fresh) | dict(corpus.speaker_of)
    _require_true_labels(path, numbered, speaker_of)
    return replace(corpus, test_pairs=(*corpus.test_pairs, *pairs), speaker_of=speaker_of)


def _paths(pairs: Iterable[Pair]) -> list[str]:
    return list({path: None for pair in pairs for path in (pair.enrolment, pair.test)})


def _numbered_paths(pairs: Iterable[tuple[int, Pair]]) -> list[tuple[int, tuple[str, ...]]]:
    return [(number, (pair.enrolment, pair.test)) for number, pair in pairs]


# --- who speaks -------------------------------------------------------------------------------


def _require_true_labels(
    path: Path,
    pairs: Iterable[tuple[int, Pair]],
    speaker_of: Mapping[str, str],
    report: Report = raise_problem,
) -> None:
    for number, pair in pairs:
        enrolled, tested = speaker_of[pair.enrolment], speaker_of[pair.test]
        if pair.target != (enrolled == tested):
            one, other = quote_path(enrolled), quote_path(tested)
            speakers = f"speaker {one}" if enrolled == tested else f"{one} and {other}"
            report(
                ListError(
                    path,
                    number,
                    f"label {int(pair.target)} for a pair of {speakers}, by the folders of its "
                    f"utterances; it should be {int(not pair.target)}",
                    kind="false_label",
                )
            )


def _require_apart(corpus: Corpus, report: Report) -> None:
    speakers = {
        split: {corpus.speaker_of[path] for path in corpus.of_split(split)} for split in SPLITS
    }
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        shared = sorted(speakers[one] & speakers[other])
        if shared:
            some = ", ".join(map(quote_path, shared[:5])) + (", ..." if len(shared) > 5 else "")
            report(
                CorpusError(
                    f"{quote_path(corpus.folder)}: {len(shared)} speakers are in both {one} and "
                    f"{other}: {some}; keep each speaker in one of train, dev and test, or insist "
                    "with --allow-overlap",
                    kind="overlap",
                )
            )
