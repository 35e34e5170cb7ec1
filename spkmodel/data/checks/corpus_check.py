"""Check a corpus before it is trained on: every list, every file, and what it can be used for."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spkmodel.core.least_speakers import LEAST_SPEAKERS_OF_AN_INTERVAL
from spkmodel.core.progress import Progress, silent
from spkmodel.core.shell import quote_path
from spkmodel.data import audio
from spkmodel.data.checks import levels
from spkmodel.data.checks.capacity import Capacity, measure_capacity
from spkmodel.data.checks.findings import Finding, Findings
from spkmodel.data.checks.other_files import find_ignored
from spkmodel.data.checks.pair_check import find_empty_evidence
from spkmodel.data.corpus import Corpus, open_corpus
from spkmodel.data.lists import SPLITS, ListError
from spkmodel.data.metadata import read_columns


@dataclass(frozen=True)
class CorpusReport:
    """Counts and problems of a corpus, by split."""

    speakers: dict[str, int]
    utterances: dict[str, int]
    seconds: dict[str, float]
    target_pairs: dict[str, int]
    non_target_pairs: dict[str, int]
    silent: int
    """Utterances whose peak is below a thousandth of full scale."""
    clipped: int
    """Utterances with more than a thousandth of their samples at full scale."""
    unusable: int
    """Utterances that cannot be read."""
    problems: list[str]
    """The messages of all errors; a corpus with one is not to be used as it is."""
    findings: list[Finding]
    """Errors and warnings by kind, the first of each and how many there are."""
    carries: Capacity
    """What can be trained on it."""


def check_folder(
    folder: Path, seed: int = 0, allow_overlap: bool = False, progress: Progress = silent
) -> CorpusReport:
    """Read the lists and every utterance of a corpus; problems are collected, not raised.

    Raises:
        CorpusError: if it is no folder.
    """
    findings = Findings()
    corpus = open_corpus(folder, seed, allow_overlap, report=findings.add_problem)
    try:
        read_columns(folder)
    except ListError as error:
        findings.add("table", error.problem)
    return check_corpus(corpus, progress, findings=findings)


def check_corpus(
    corpus: Corpus,
    progress: Progress = silent,
    read: Callable[[str], np.ndarray] | None = None,
    findings: Findings | None = None,
) -> CorpusReport:
    """Read every utterance of the corpus; problems are collected, not raised.

    Args:
        corpus: whose lists are read already.
        progress: told utterances.
        read: an utterance's samples by its path; by default from its file.
        findings: what was found before.
    """
    findings = findings or Findings()
    for kind, text in find_empty_evidence(corpus, at_folder=read is None):
        findings.add(kind, text)
    # At a URI there is no file to name: an utterance is named by its path in the lists.
    utterances = _Utterances(corpus, findings, corpus.folder if read is None else Path())
    utterances.inspect_all(progress, read)
    if read is None and not findings.has("other_format"):
        for kind, text, remedy in find_ignored(corpus):
            findings.add(kind, text, remedy)
    _add_dev_speakers(corpus, findings)
    carries = measure_capacity(corpus.train)
    _add_capacity(corpus, carries, findings)
    members = {split: corpus.of_split(split) for split in SPLITS}
    pairs = {"dev": corpus.dev_pairs, "test": corpus.test_pairs}
    seconds = utterances.seconds
    return CorpusReport(
        speakers={
            split: len({corpus.speaker_of[path] for path in paths})
            for split, paths in members.items()
        },
        utterances={split: len(paths) for split, paths in members.items()},
        seconds={
            split: sum((seconds[path] for path in paths), 0.0) for split, paths in members.items()
        },
        target_pairs={split: sum(p.target for p in some) for split, some in pairs.items()},
        non_target_pairs={split: sum(not p.target for p in some) for split, some in pairs.items()},
        silent=utterances.silent,
        clipped=utterances.clipped,
        unusable=utterances.unusable,
        problems=findings.problems,
        findings=findings.grouped(),
        carries=carries,
    )


@dataclass(frozen=True, slots=True)
class _Inspected:
    """What the samples of an utterance say of it."""

    seconds: float
    is_silent: bool
    is_clipped: bool
    divided_by: float
    digest: bytes


class _Utterances:
    """Inspects the utterances of a corpus, and adds what is found."""

    def __init__(self, corpus: Corpus, findings: Findings, folder: Path) -> None:
        self._corpus = corpus
        self._folder = folder
        """What paths are shown in."""
        self._findings = findings
        self._path_of: dict[bytes, str] = {}
        self.seconds = dict.fromkeys(corpus.utterances(), 0.0)
        self.silent = self.clipped = self.unusable = 0

    def inspect_all(self, progress: Progress, read: Callable[[str], np.ndarray] | None) -> None:
        """Read all utterances by a few threads."""
        paths = list(self.seconds)

        def inspect(path: str) -> _Inspected | audio.AudioError:
            return _inspect(self._corpus.folder / path, path, read)

        quiet: list[str] = []
        found = audio.in_parallel(inspect, paths)
        for done, (path, each) in enumerate(zip(paths, found, strict=True), 1):
            if isinstance(each, audio.AudioError):
                self.unusable += 1
                self._findings.add_unusable(each)
            else:
                self._add(path, each)
                quiet += [path] if each.is_silent else []
            progress(done, len(paths))
        self._add_silent(quiet)

    def _add(self, path: str, found: _Inspected) -> None:
        self.seconds[path] = found.seconds
        self.clipped += found.is_clipped
        shown = quote_path(self._folder / path)
        if found.is_clipped:
            self._findings.add("clipped", shown)
        if found.divided_by > 1:
            self._findings.add("above_full_scale", f"{shown}: up to {found.divided_by:.3g}")
        # All silent utterances are alike.
        first = path if found.is_silent else self._path_of.setdefault(found.digest, path)
        if first != path:
            speakers = [self._corpus.speaker_of[each] for each in (first, path)]
            kind = "repeated_audio" if speakers[0] == speakers[1] else "same_audio_two_speakers"
            other = quote_path(self._folder / first)
            one, two = map(quote_path, speakers)
            self._findings.add(kind, f"{other} ({one}) and {shown} ({two})")

    def _add_silent(self, quiet: list[str]) -> None:
        self.silent = len(quiet)
        paired = {path for split in ("dev", "test") for path in self._corpus.of_split(split)}
        for kind, some in (
            ("silent_in_pair", [path for path in quiet if path in paired]),
            ("silent", [path for path in quiet if path not in paired]),
        ):
            remedy = levels.silence_remedy(self._corpus, some) if some else ""
            for path in some:
                text = levels.describe_silent(self._corpus, path, self._folder)
                self._findings.add(kind, text, remedy)


def _inspect(
    file: Path, path: str, read: Callable[[str], np.ndarray] | None
) -> _Inspected | audio.AudioError:
    """Return what an utterance's samples say; or why it cannot be used."""
    try:
        decoded = audio.decode(file) if read is None else audio.Decoded(read(path), 1.0)
    except audio.AudioError as error:
        return error
    samples = decoded.samples
    return _Inspected(
        seconds=len(samples) / audio.SAMPLE_RATE,
        is_silent=audio.is_silent(samples),
        is_clipped=audio.is_clipped(samples),
        divided_by=decoded.divided_by,
        digest=hashlib.blake2b(np.ascontiguousarray(samples).data, digest_size=16).digest(),
    )


def _add_dev_speakers(corpus: Corpus, findings: Findings) -> None:
    dev_speakers = len({corpus.speaker_of[path] for path in corpus.of_split("dev")})
    if corpus.dev_pairs and dev_speakers < LEAST_SPEAKERS_OF_AN_INTERVAL:
        findings.add(
            "few_dev_speakers",
            f"{dev_speakers}; intervals of the dev EER need {LEAST_SPEAKERS_OF_AN_INTERVAL}",
            "add pairs of other speakers to the list, or give the corpus more speakers",
        )


def _add_capacity(corpus: Corpus, carries: Capacity, findings: Findings) -> None:
    if not corpus.train:
        return
    if not carries.losses:
        # With two of them, a softmax can be trained.
        speaker = quote_path(corpus.train[0].speaker)
        findings.add(
            "one_speaker",
            f"{quote_path(corpus.folder)}: one training speaker, {speaker}; no loss can tell fewer "
            "than 2 apart; add speakers",
        )
    elif carries.other_losses:
        findings.add(
            "cannot_carry",
            f"{', '.join(carries.other_losses)}: each compares 2 utterances of a speaker or more, "
            "and fewer than 2 training speakers have 2",
            f"take {', '.join(carries.losses)} with batches.utterances=1, or add utterances",
        )
