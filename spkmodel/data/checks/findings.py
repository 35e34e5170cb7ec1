"""What a check of a corpus found, by kind: the first ones, and how many there are."""

from dataclasses import dataclass, field
from typing import Literal

from spkmodel.data.audio import AudioError
from spkmodel.data.lists import CorpusError, ListError

FIRST = 10
"""So many of a kind are shown."""

Severity = Literal["error", "warning"]

_ERRORS = {
    # lists
    "list": "a list that cannot be read",
    "line": "lines that cannot be read",
    "columns": "lines with another number of columns",
    "label": "labels that are neither 1 nor 0",
    "label_words": "labels in words",
    "kaldi_order": "lines in Kaldi's order, label last",
    "swapped_columns": "lines whose columns look swapped",
    "tabs_or_quotes": "paths with spaces, parted by tabs or in quotes",
    "commas": "lines with commas between columns",
    "listed_twice": "utterances that are listed twice",
    "one_class": "lists with one kind of pairs only",
    "false_label": "labels that contradict the speakers",
    # paths
    "table": "tables of speakers or utterances that cannot be read",
    "path": "paths that a list cannot hold",
    "space_in_name": "names with spaces",
    "absolute_path": "absolute paths",
    "backslashes": "paths with back-slashes",
    "without_wav": "paths that leave wav/ out",
    "other_suffix": "paths whose file has another suffix",
    "other_format": "audio in a format that is not read",
    "missing": "listed utterances that cannot be used",
    # folders
    "corpus": "what concerns the corpus as a whole",
    "no_corpus": "a folder that is no corpus",
    "no_audio": "a folder without audio",
    "speakers_without_wav": "speakers one level too high",
    "foreign_folder": "a folder of another tool",
    "link": "links to folders",
    "no_speaker": "utterances whose folders do not tell who speaks",
    "overlap": "speakers in two of train, dev and test",
    "one_speaker": "too few training speakers",
    # audio
    "other_form": "utterances in another form than 16 kHz mono",
    "cut_short": "utterances that are cut short",
    "no_length": "utterances whose header has no length",
    "unreadable": "utterances that cannot be used",
    "no_decoder": "utterances that PyAV would read, which is not installed",
    "silent_in_pair": "silent utterances in pairs",
}
_WARNINGS = {
    "silent": "silent utterances",
    "clipped": "clipped utterances, more than a thousandth of their samples at full scale",
    "above_full_scale": "utterances above full scale, divided by their largest sample",
    "same_audio_two_speakers": "utterances of two speakers with the same samples",
    "repeated_audio": "utterances of a speaker with the same samples",
    "self_pair": "pairs of an utterance with itself",
    "repeated_pair": "repeated pairs",
    "ignored_format": "audio files that are not read",
    "not_audio": "files that are no audio by their names, not read",
    "few_dev_speakers": "dev pairs of too few speakers",
    "cannot_carry": "losses that this corpus cannot carry",
}


@dataclass
class Finding:
    """All findings of one kind."""

    kind: str
    severity: Severity
    title: str
    count: int = 0
    first: list[str] = field(default_factory=list)
    """The first ones, each with its path, and its line in a list."""
    remedies: list[str] = field(default_factory=list)
    """Commands or advices, the first ones: one for all of them, or one for each list or file."""


class Findings:
    """Collects what a check finds."""

    def __init__(self) -> None:
        self._of_kind: dict[str, Finding] = {}
        self.problems: list[str] = []
        """The messages of all errors."""

    def add(self, kind: str, text: str, remedy: str = "") -> None:
        """Add a finding of a known kind; a remedy that is there already is not repeated."""
        if kind not in self._of_kind:
            is_error = kind in _ERRORS
            title = _ERRORS[kind] if is_error else _WARNINGS[kind]
            self._of_kind[kind] = Finding(kind, "error" if is_error else "warning", title)
        found = self._of_kind[kind]
        found.count += 1
        if found.count <= FIRST:
            found.first.append(text)
        if remedy and remedy not in found.remedies and len(found.remedies) < FIRST:
            found.remedies.append(remedy)
        if found.severity == "error":
            self.problems.append(text)

    def has(self, kind: str) -> bool:
        """Return whether something of a kind was found."""
        return kind in self._of_kind

    def add_problem(self, problem: CorpusError | ListError) -> None:
        """Add what reading a corpus has reported."""
        self.add(problem.kind, problem.problem, problem.remedy)

    def add_unusable(self, error: AudioError) -> None:
        """Add an utterance that cannot be read."""
        self.add(error.kind, str(error))

    def grouped(self) -> list[Finding]:
        """Return what was found by kind: errors first, each in the order of finding."""
        return sorted(self._of_kind.values(), key=lambda found: found.severity != "error")
