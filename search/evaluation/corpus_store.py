"""Open the packed store of the corpus that an evaluation scores pairs of."""

from pathlib import Path
from typing import TYPE_CHECKING

from search.core.errors import UsageError
from search.core.paths import home, make_home
from search.core.progress import Display
from search.data import location
from search.evaluation.analysis import AnalysisRequest
from search.evaluation.protocol import Protocol

if TYPE_CHECKING:
    from spkmodel.data.store import Store


def require_lists(
    uri: str, lists: Path, pairs: Path, protocol: Protocol, analysis: AnalysisRequest
) -> None:
    """Require that every list named is here or at the URI.

    The lists of a URI lie in a temporary folder, whose name would mean nothing in a message.
    """
    wanted = {
        "--pairs": pairs,
        "--calibrate-on": analysis.calibrate_on,
        "--cohort": protocol.cohort,
    }
    for flag, path in wanted.items():
        if path is not None and not path.is_file() and not (lists / path).is_file():
            there = ", ".join(sorted(each.name for each in lists.iterdir()))
            raise UsageError(f"{flag}: no list {path}, neither here nor at {uri} ({there})")


def open_store(corpus: Path | str, display: Display, pairs: Path) -> "Store":
    """Return the packed store of a corpus, with the utterances of the pairs."""
    from spkmodel.data.store import Store

    if isinstance(corpus, Path):
        return open_packed_corpus(corpus, display, also=pairs)
    # Nothing can be added to a published store: an utterance that it lacks is an error of the list.
    return Store.open(location.fetch_store(corpus).folder)


def open_packed_corpus(
    corpus: Path, display: Display, seed: int = 0, also: Path | None = None
) -> "Store":
    """Return the store of a corpus, packed on first use.

    Args:
        corpus: its folder.
        display: shows the progress.
        seed: by which its dev speakers are chosen.
        also: a list of pairs whose utterances lie in the folder and may be on none of its lists.
    """
    from spkmodel.data import lists
    from spkmodel.data.corpus import open_corpus, with_pairs
    from spkmodel.data.store import Store
    from spkmodel.data.store_writing import pack_corpus

    opened = open_corpus(corpus, seed)
    # Such as VoxCeleb1-E, whose utterances may be on none of the three lists.
    if also is not None:
        opened = with_pairs(opened, also, lists.read_pairs(also))
    make_home(say=display.print_line)
    with display.task("packing the corpus", "steps") as progress:
        return Store.open(pack_corpus(opened, home(), progress=progress))
