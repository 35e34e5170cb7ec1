"""Check every utterance of a corpus, and count what is there."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spkmodel.core.progress import Progress, silent
from spkmodel.data import audio
from spkmodel.data.corpus import Corpus
from spkmodel.data.lists import SPLITS

_SILENT_PEAK = 33

_CLIPPED_FRACTION = 0.001


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
    problems: list[str]


def check_corpus(
    corpus: Corpus,
    progress: Progress = silent,
    read: Callable[[str], np.ndarray] | None = None,
) -> CorpusReport:
    """Read every utterance of the corpus; problems are collected, not raised.

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


def _inspect(
    path: str, read: Callable[[str], np.ndarray]
) -> tuple[float, bool, bool] | audio.AudioError:
    """Return seconds, whether it is silent and whether it is clipped; or why it cannot be used."""
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
