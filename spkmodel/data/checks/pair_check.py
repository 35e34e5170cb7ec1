"""Find the pairs of a list that are no evidence: of an utterance with itself, or there before."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from spkmodel.core.shell import quote_path
from spkmodel.data.corpus import Corpus
from spkmodel.data.lists import DEV_LIST, TEST_LIST, Pair, read_numbered_pairs


def find_empty_evidence(corpus: Corpus, at_folder: bool) -> Iterator[tuple[str, str]]:
    """Yield kind and place of every such pair in the lists; wrong lines are left out.

    Args:
        corpus: whose lists are looked through.
        at_folder: its lists are files; else they are told by their names.
    """
    for name, pairs in ((DEV_LIST, corpus.dev_pairs), (TEST_LIST, corpus.test_pairs)):
        path = corpus.folder / name if at_folder else Path(name)
        # The corpus has no line numbers where lines are wrong.
        is_listed = at_folder and path.is_file()
        numbered = read_numbered_pairs(path, lambda _: None) if is_listed else enumerate(pairs, 1)
        for number, kind, problem in find_repeats(numbered):
            yield kind, f"{quote_path(path)}:{number}: {problem}"


def find_repeats(pairs: Iterable[tuple[int, Pair]]) -> Iterator[tuple[int, str, str]]:
    """Yield line, kind and problem of pairs of an utterance with itself, and of repeated pairs.

    A pair whose sides have changed places is the same pair.
    """
    lines_of: dict[frozenset[str], int] = {}
    for number, pair in pairs:
        if pair.enrolment == pair.test:
            yield number, "self_pair", f"{quote_path(pair.test)} with itself"
        first = lines_of.setdefault(frozenset((pair.enrolment, pair.test)), number)
        if first != number:
            yield number, "repeated_pair", f"the pair of line {first} again"
