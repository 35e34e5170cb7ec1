"""Read lists of pairs, and describe them by name, hash and counts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from search.core.errors import UsageError
from spkmodel.data.lists import ListError, Pair, read_pairs
from spkmodel.data.pair_evidence import find_repeated_pairs, find_self_pairs

if TYPE_CHECKING:
    from spkmodel.augment.noise_and_rooms import Split
    from spkmodel.data.store import Store

_SPLITS: "tuple[Split, ...]" = ("test", "dev", "train")


@dataclass(frozen=True)
class PairList:
    """A list of pairs, with its name and split."""

    name: str
    pairs: tuple[Pair, ...]
    split: "Split | Literal['']"
    """The split that all its utterances are of: train, dev or test; empty if of several."""

    @classmethod
    def from_pairs(cls, name: str, pairs: Sequence[Pair], store: "Store") -> "PairList":
        """Return a list whose utterances are all in `store`."""
        utterances = {utterance for pair in pairs for utterance in (pair.enrolment, pair.test)}
        # test comes first: pairs that fit several splits must count as test pairs.
        for split in _SPLITS:
            if utterances <= set(store.of_split(split)):
                return cls(name, tuple(pairs), split)
        return cls(name, tuple(pairs), "")

    @property
    def sha256(self) -> str:
        """The hash of the pairs, one a line, so that two spellings of a list have one hash."""
        lines = (f"{int(pair.target)} {pair.enrolment} {pair.test}\n" for pair in self.pairs)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def utterances(self) -> list[str]:
        """The utterances of the pairs, each once, in order of first appearance."""
        return list(dict.fromkeys(u for pair in self.pairs for u in (pair.enrolment, pair.test)))

    def facts(self, store: "Store") -> dict[str, Any]:
        """Return name, hash and counts, for a report."""
        targets = sum(pair.target for pair in self.pairs)
        utterances = self.utterances
        return {
            "name": self.name,
            "sha256": self.sha256,
            "split": self.split,
            "pairs": len(self.pairs),
            "targets": targets,
            "non_targets": len(self.pairs) - targets,
            "speakers": len({store.speaker(utterance) for utterance in utterances}),
            "utterances": len(utterances),
            "self_pairs": len(find_self_pairs(self.pairs)),
            "repeated_pairs": len(find_repeated_pairs(self.pairs)),
        }


def format_counts(facts: Mapping[str, Any]) -> str:
    """Return the name and the size of a list as text."""
    return (
        f"{facts['name']}: {facts['pairs']:,} pairs ({facts['targets']:,} target) of "
        f"{facts['speakers']:,} speakers, sha256 {facts['sha256'][:12]}"
    )


def find_list(pairs: Path, corpus: Path, flag: str = "--pairs") -> Path:
    """Return the path of a list, looked for from here, then in the corpus.

    Raises:
        UsageError: if it is in neither.
    """
    path = pairs if pairs.is_file() else corpus / pairs
    if not path.is_file():
        raise UsageError(f"{flag}: no list of pairs {pairs}, neither here nor in {corpus}")
    return path


def read_list(pairs: Path, corpus: Path, store: "Store", flag: str = "--pairs") -> PairList:
    """Read a list, looked for from here, then in the corpus.

    Raises:
        UsageError: if it is in neither.
        ListError: for a wrong line, or an utterance that the corpus does not have.
    """
    path = find_list(pairs, corpus, flag)
    listed = read_pairs(path)
    _require_known(path, listed, store)
    return PairList.from_pairs(path.name, listed, store)


def _require_known(path: Path, pairs: Sequence[Pair], store: "Store") -> None:
    known = set(store.ids)
    for line, pair in enumerate(pairs, 1):
        for utterance in (pair.enrolment, pair.test):
            if utterance not in known:
                raise ListError(
                    path,
                    line,
                    f"{utterance} is not an utterance of the corpus, which has {len(known)}; paths "
                    "are relative to the corpus's folder",
                )
