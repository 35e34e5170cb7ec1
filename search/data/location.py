"""Open a corpus by its folder or by a URI, and find its packed store on this machine.

At a URI lies a store that `corpus pack --to` has published, with the test pairs beside it. The
launch keeps its copy below the home folder; every node of a cluster fetches its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from search.core.errors import UsageError
from search.core.paths import home, make_home
from search.core.redact import redact
from spkmodel.core.progress import Progress, silent

if TYPE_CHECKING:
    from search.ledger.settings import SearchSettings
    from spkmodel.data.checks.corpus_check import CorpusReport
    from spkmodel.data.corpus import Corpus
    from spkmodel.data.store import Store


@dataclass(frozen=True)
class PublishedStore:
    """A store at a URI, and this machine's copy of it."""

    uri: str
    sha256: str
    """The hash of its manifest."""
    folder: Path


def parse_location(place: str) -> Path | str:
    """Return a URI as it is, anything else as a path.

    Raises:
        UsageError: for a URI with a secret in it, which would be recorded.
    """
    from spkmodel.data.store_uri import is_uri

    if not is_uri(place):
        return Path(place)
    # The URI goes into the ledger and to MLflow, where others read it.
    if redact(place) != place:
        raise UsageError(
            f"{redact(place)}: a corpus's URI is recorded; leave user and secrets out of it, and "
            "give them to every node by its environment or role"
        )
    return place.rstrip("/")


def format_location(place: Path | str) -> str:
    """Return a location as it is recorded: a URI, or an absolute path."""
    return place if isinstance(place, str) else str(place.absolute())


def fetch_store(uri: str, progress: Progress = silent) -> PublishedStore:
    """Return the store at a URI, fetched to this machine if it is not here yet.

    Raises:
        StoreError: if there is none, or it is damaged.
    """
    from spkmodel.data import store_cache
    from spkmodel.data.store import Store, StoreError
    from spkmodel.data.store_manifest import read_manifest

    there = read_manifest(uri)
    # Named by its contents, so that a store packed here and one fetched are the same folder.
    folder = home() / "corpora" / there.contents[:16]
    try:
        if Store.open(folder).sha256 == there.contents:
            return PublishedStore(uri, there.sha256, folder)  # packed here, or fetched before
    except StoreError:
        pass
    make_home()
    folder = store_cache.fetch_store(
        uri, there.sha256, home() / "corpora", name=there.contents[:16], progress=progress
    )
    return PublishedStore(uri, there.sha256, folder)


def open_corpus_at(
    place: Path | str, seed: int, allow_overlap: bool = False, progress: Progress = silent
) -> "Corpus":
    """Open the corpus of a folder, or the lists of one at a URI, whose audio is packed already."""
    from spkmodel.data.corpus import open_corpus

    if isinstance(place, Path):
        return open_corpus(place, seed=seed, allow_overlap=allow_overlap)
    return _open_published(place, fetch_store(place, progress).folder)


def _open_published(uri: str, folder: Path) -> "Corpus":
    import tempfile

    from spkmodel.data import store_cache
    from spkmodel.data.corpus import Corpus
    from spkmodel.data.lists import TEST_LIST, TrainEntry, read_pairs
    from spkmodel.data.store import Store
    from spkmodel.data.store_manifest import read_manifest

    store = Store.open(folder)
    with tempfile.TemporaryDirectory() as scratch:
        store_cache.fetch_evaluation_files(uri, read_manifest(uri), Path(scratch))
        path = Path(scratch) / TEST_LIST
        test_pairs = read_pairs(path) if path.exists() else []
    return Corpus(
        folder=folder,
        train=tuple(TrainEntry(store.speaker(each), each) for each in store.of_split("train")),
        dev_pairs=tuple(store.dev_pairs),
        test_pairs=tuple(test_pairs),
        dev_from_train=bool(store.about.get("dev_from_train")),
        speaker_of={each: store.speaker(each) for each in store.ids},
        test_list=Path(TEST_LIST) if test_pairs else None,
    )


@contextmanager
def open_lists(place: Path | str) -> Iterator[Path]:
    """Yield a folder with a corpus's lists and tables; a temporary copy if it is at a URI."""
    if isinstance(place, Path):
        yield place
        return
    import shutil
    import tempfile

    from spkmodel.data import store_cache
    from spkmodel.data.lists import DEV_LIST, TRAIN_LIST
    from spkmodel.data.store_manifest import read_manifest

    store = fetch_store(place).folder
    with tempfile.TemporaryDirectory() as scratch:
        # Messages name the folder: it is called as the corpus is at its URI.
        folder = Path(scratch) / place.rpartition("/")[2].partition("?")[0]
        folder.mkdir(exist_ok=True)
        store_cache.fetch_evaluation_files(place, read_manifest(place), folder)
        for name in (TRAIN_LIST, DEV_LIST):
            if (store / name).is_file():
                shutil.copyfile(store / name, folder / name)
        yield folder


def check_corpus(
    place: Path | str, seed: int, allow_overlap: bool = False, progress: Progress = silent
) -> "CorpusReport":
    """Check the lists and every utterance of a corpus; at a URI every byte that lies there, too.

    Raises:
        CorpusError: there is no such folder.
        StoreError: what lies at the URI is damaged.
    """
    from spkmodel.data import store_cache
    from spkmodel.data.checks.corpus_check import check_corpus, check_folder
    from spkmodel.data.store import Store

    if isinstance(place, Path):
        return check_folder(place, seed, allow_overlap, progress)
    there = open_corpus_at(place, seed, allow_overlap)
    store_cache.verify_store(place)
    store = Store.open(there.folder)
    return check_corpus(there, progress, store.waveform)


def find_longest_seconds(place: Path | str, corpus: "Corpus", enough: float) -> float:
    """Return the length of the longest training utterance, or of the first that lasts `enough`."""
    from spkmodel.data.store import Store

    if isinstance(place, Path):
        return corpus.longest_seconds(enough=enough)
    return Store.open(corpus.folder).longest_seconds


def find_store_folder(settings: "SearchSettings") -> Path:
    """Return where this machine has the store of a search, or would have it."""
    from spkmodel.data.store_uri import is_uri

    recorded = settings.store
    # A URI is the same on every machine; the folder of its copy is not.
    if is_uri(recorded):
        return home() / "corpora" / settings.corpus_sha256[:16]
    return Path(recorded)


def publish_store(corpus: "Corpus", store: "Store", uri: str, progress: Progress = silent) -> str:
    """Publish a packed corpus at a URI, with its test pairs and tables, and return its hash."""
    import shutil
    import tempfile

    from spkmodel.data.lists import TEST_LIST, write_pairs
    from spkmodel.data.metadata import SPEAKERS, UTTERANCES
    from spkmodel.data.store_publishing import publish_store

    with tempfile.TemporaryDirectory() as scratch:
        for table in (SPEAKERS, UTTERANCES):
            if (corpus.folder / table).is_file():
                shutil.copyfile(corpus.folder / table, Path(scratch) / table)
        if corpus.test_pairs:
            write_pairs(Path(scratch) / TEST_LIST, corpus.test_pairs)
        there = publish_store(
            store.folder, store.sha256, uri, evaluation_folder=Path(scratch), progress=progress
        )
    return there.sha256
