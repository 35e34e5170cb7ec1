"""Open a corpus: a folder of audio whose lists are read, or made, and checked for consistency."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from spkmodel.data import audio, splits
from spkmodel.data.corpus_layout import find_utterances, speakers_by_folder
from spkmodel.data.lists import (
    DEV_LIST,
    SPLITS,
    TEST_LIST,
    TRAIN_LIST,
    CorpusError,
    ListError,
    Pair,
    TrainEntry,
    read_pairs,
    read_train_list,
    require_present,
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
    train = read_train_list(lists[TRAIN_LIST]) if TRAIN_LIST in found else find_utterances(folder)
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
    speaker_of = speakers_by_folder(train, _paths([*dev_pairs, *test_pairs]))
    _require_true_labels(lists[DEV_LIST], dev_pairs, speaker_of)
    _require_true_labels(lists[TEST_LIST], test_pairs, speaker_of)
    if TRAIN_LIST not in found:
        paired_speakers = {speaker_of[path] for path in _paths([*dev_pairs, *test_pairs])}
        train = [entry for entry in train if entry.speaker not in paired_speakers]
    # Without anybody to train on, pairs alone are a corpus too: for evaluation.
    dev_from_train = DEV_LIST not in found and (bool(train) or not test_pairs)
    if dev_from_train:
        train, dev_pairs = splits.hold_out_dev(train, seed)
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
            raise CorpusError(f"{folder / name} is there already; move it away to split anew")
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
    require_present(corpus.folder, {path: [(pair.enrolment, pair.test) for pair in pairs]})
    speaker_of = speakers_by_folder(corpus.train, fresh) | dict(corpus.speaker_of)
    _require_true_labels(path, pairs, speaker_of)
    return replace(corpus, test_pairs=(*corpus.test_pairs, *pairs), speaker_of=speaker_of)


def _paths(pairs: Iterable[Pair]) -> list[str]:
    return list({path: None for pair in pairs for path in (pair.enrolment, pair.test)})


# --- who speaks -------------------------------------------------------------------------------


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
