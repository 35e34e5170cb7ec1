"""Read a list of pairs in any program's order, and find its utterances by name."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from spkmodel.core.shell import quote_path
from spkmodel.data.formats.other_lists import is_label, is_target
from spkmodel.data.formats.suffixes import is_audio
from spkmodel.data.lists import ListError, Pair, numbered_lines


def read_pairs_by_name(path: Path, path_of: Mapping[str, str]) -> list[Pair]:
    """Return the pairs of a list; the label is the first or the last column.

    Args:
        path: of the list.
        path_of: an utterance's path in the new corpus by what its lists call it.

    Raises:
        ListError: for a wrong line, or an utterance that is not known.
    """
    by_key = {_key(name): new for name, new in path_of.items()}
    pairs = []
    for number, line in numbered_lines(path):
        words = line.split()
        if len(words) == 3 and is_label(words[0]):
            label, one, other = words
        elif len(words) == 3 and is_label(words[2]):
            one, other, label = words
        else:
            raise ListError(
                path,
                number,
                "no pair; it is '<1|0> <utterance> <utterance>' or Kaldi's '<utterance> "
                "<utterance> <target|nontarget>'",
            )
        sides = []
        for name in (one, other):
            new = path_of.get(name) or by_key.get(_key(name))
            if new is None:
                raise ListError(
                    path, number, f"{quote_path(name)} is no utterance of the corpus that is read"
                )
            sides.append(new)
        pairs.append(Pair(is_target(label), *sides))
    return pairs


def _key(name: str) -> str:
    """Return what a name has in common with its other spellings: `a/b/1.wav`, `a-b-1`."""
    path = PurePosixPath(name)
    stem = path.with_suffix("") if is_audio(name) else path
    return stem.as_posix().replace("/", "-")
