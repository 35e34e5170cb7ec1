"""Fetch a public corpus by its name: download, convert and list it, ready to train on.

Everything unfinished is in `<folder>/.fetch`; the folder has `source.json` once it is whole.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from search.core.errors import EnvironmentSetupError, UsageError
from search.core.progress import Display, Silent
from search.data.public import corpus_folder as folders
from search.data.public import transfer
from search.data.public.conversion import ConvertedUtterances, convert_members
from search.data.public.corpus_folder import FetchedCorpus
from search.data.public.file_source import FileSource
from search.data.public.public_corpus import Archive, Lists, PublicCorpus
from spkmodel.data.lists import DEV_LIST, TEST_LIST, TRAIN_LIST, Pair

UNFINISHED = ".fetch"
ARCHIVES = "archives"
_MOST_UNUSABLE = 0.01
"""Share of the utterances that may be unusable; with more, the archive is damaged."""


def measure_free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk that a folder is on, or will be on."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def fetch_corpus(
    public: PublicCorpus,
    folder: Path,
    *,
    source: Path | None = None,
    mirror: str | None = None,
    test_list: str | None = None,
    keep_archives: bool = False,
    seed: int = 0,
    display: Display | None = None,
    free: Callable[[Path], int] = measure_free_bytes,
    waits_seconds: Sequence[float] = transfer.WAITS_SECONDS,
) -> FetchedCorpus:
    """Make `folder` the corpus; continue where an interrupted call stopped.

    Args:
        public: the corpus.
        folder: new, empty, or left by a call like this one.
        source: a folder with its archives, or with what was in them; nothing there is changed.
        mirror: an address that its files lie below, instead of their publisher's.
        test_list: the official list of pairs to become `test_trials.txt`; its first by default.
        keep_archives: whether to keep what was downloaded once the corpus is whole.
        seed: for what is drawn where nothing is official.
        display: shows the progress.
        free: returns the free bytes of a folder's disk.
        waits_seconds: pauses after a broken connection.

    Raises:
        UsageError: if the folder or the archives are something else.
        EnvironmentSetupError: if the network, a server or the disk prevents it.
    """
    display = display or Silent()
    wanted = _choose_test_list(public, test_list)
    # The mark is written last, so a folder that has it needs nothing more.
    if (there := folders.read_mark(folder)) is not None:
        return _require_as_asked(there, folder, public, wanted, seed)
    unfinished = folder / UNFINISHED
    _require_own_folder(folder)
    files = FileSource(public, unfinished, source, mirror, display, waits_seconds)
    archives = public.archives()
    _require_space(public, folder, 0 if source else public.download_bytes, files, archives, free)
    with lock_folder(unfinished):
        whole = unfinished / "corpus"
        _move_back(folder, whole)
        converted = _convert(public, archives, files, whole, display)
        fetched = _write_lists(public, files, whole, converted, wanted, seed)
        folders.write_note(whole, public, fetched)
        _move_into_place(whole, folder)
        if keep_archives:
            _keep_archives(unfinished, folder, files.files)
        folders.write_mark(folder, fetched)
    shutil.rmtree(unfinished, ignore_errors=True)
    return fetched


def _choose_test_list(public: PublicCorpus, asked: str | None) -> str:
    lists = public.lists()
    names = [*(remote.name for remote in lists.pairs), *lists.inside]
    if asked is None:
        return names[0] if names else ""
    if asked not in names:
        there = f"it has {', '.join(names)}" if names else "it has none: its pairs are drawn"
        raise UsageError(f"--test-list {asked}: no official list of {public.name}; {there}")
    return asked


def _require_as_asked(
    there: FetchedCorpus, folder: Path, public: PublicCorpus, test_list: str, seed: int
) -> FetchedCorpus:
    """Return the corpus that is there, if it is the one asked for.

    Raises:
        UsageError: if it is another one, or not whole any more.
    """
    for what, has, wants in (
        ("the corpus", there.corpus, public.name),
        ("the test list", there.test_list, test_list),
        ("the seed", there.seed, seed),
    ):
        if has != wants:
            raise UsageError(
                f"{folder}: {what} there is {has!r}, asked for is {wants!r}; fetch into another "
                "folder"
            )
    found = sum(1 for path in (folder / "wav").rglob("*.flac") if path.is_file())
    if found != there.utterances:
        raise UsageError(
            f"{folder}: {found} utterances are there, {there.utterances} were fetched; remove the "
            "folder and fetch it anew"
        )
    return there


def _require_own_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a new folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / UNFINISHED).is_dir():
        raise UsageError(f"{folder} holds something else; name a new or an empty folder")


def _require_space(
    public: PublicCorpus,
    folder: Path,
    download_bytes: int,
    files: FileSource,
    archives: Sequence[Archive],
    free: Callable[[Path], int],
) -> None:
    """Require room for the download and the corpus beside it, less what is there already."""
    wav = folder / UNFINISHED / "corpus" / "wav"
    done = sum(path.stat().st_size for path in wav.rglob("*.flac")) if wav.is_dir() else 0
    left = max(0, download_bytes - files.count_bytes(archives)) + max(0, public.folder_bytes - done)
    available = free(folder)
    if available < left:
        raise EnvironmentSetupError(
            f"{folder}: {public.name} needs about {left / 1e9:.1f} GB there (download and corpus "
            f"side by side), {available / 1e9:.1f} GB are free; make room or name another "
            "disk"
        )


@contextmanager
def lock_folder(unfinished: Path) -> Iterator[None]:
    """Refuse a second process in the same folder while the context lasts."""
    unfinished.mkdir(parents=True, exist_ok=True)
    # The kernel releases the lock when the process dies, so nothing stale is left behind.
    with (unfinished / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EnvironmentSetupError(
                f"{unfinished.parent}: another process fetches into this folder; wait for it"
            ) from error
        yield


def _convert(
    public: PublicCorpus,
    archives: Sequence[Archive],
    files: FileSource,
    whole: Path,
    display: Display,
) -> ConvertedUtterances:
    """Convert all utterances of the archives into files below `whole`."""
    converted = ConvertedUtterances()
    found = files.read_members(archives)
    with display.task(f"unpacking {public.name}", "utterances") as progress:
        convert_members(found, public.layout, whole, converted, public.utterances, progress)
    # Scratch files; an interrupted call may have left some.
    shutil.rmtree(whole / ".unpacked", ignore_errors=True)
    count, bad = len(converted.destinations), len(converted.unusable)
    if not count:
        raise UsageError(
            f"no utterance of {public.name} was found; its archives are "
            f"{', '.join(name for archive in archives for name in archive.names)}, unpacked they "
            f"have paths such as {public.layout.shows}"
        )
    if bad > _MOST_UNUSABLE * (count + bad):
        some = next(iter(converted.unusable.items()))
        raise EnvironmentSetupError(
            f"{bad} of {count + bad} utterances cannot be used, such as {some[0]} ({some[1]}): the "
            "archive or the folder is damaged"
        )
    if count + bad < public.utterances:
        files.notices.append(
            f"{count + bad:,} utterances were found of about {public.utterances:,}"
        )
    if converted.scaled:
        files.notices.append(
            f"{converted.scaled:,} utterances were above full scale as 16 kHz mono; divided "
            "by their largest sample"
        )
    return converted


def _write_lists(
    public: PublicCorpus,
    files: FileSource,
    whole: Path,
    converted: ConvertedUtterances,
    test_list: str,
    seed: int,
) -> FetchedCorpus:
    """Write the lists of the folder, and return its description."""
    lists = public.lists()
    pairs = _read_official_pairs(lists, files, public, converted, test_list)
    for name in (TRAIN_LIST, DEV_LIST, TEST_LIST):  # of a call that did not come to its end
        (whole / name).unlink(missing_ok=True)
    if lists.identification is None:
        corpus = folders.write_lists(whole, converted, public.layout, pairs, test_list, seed)
    else:
        parts = files.get_file(lists.identification)
        corpus = folders.write_identification(whole, parts, converted, public.layout, seed)
    speakers = {each.speaker for each in converted.destinations.values()}
    folders.write_people(whole / folders.PEOPLE, public.layout.people(converted.texts), speakers)
    return FetchedCorpus(
        corpus=public.name,
        licence=public.licence,
        page=public.page,
        files=files.files,
        utterances=len(converted.destinations),
        speakers=folders.count_speakers_by_split(corpus),
        pairs={
            **{name: len(listed) for name, listed in pairs.items()},
            DEV_LIST: len(corpus.dev_pairs),
            TEST_LIST: len(corpus.test_pairs),
        },
        test_list=test_list,
        seed=seed,
        unusable=converted.unusable,
        notices=files.notices,
    )


def _read_official_pairs(
    lists: Lists,
    files: FileSource,
    public: PublicCorpus,
    converted: ConvertedUtterances,
    test_list: str,
) -> dict[str, list[Pair]]:
    """Return the official lists by name; only the one that becomes the test list is required."""
    pairs: dict[str, list[Pair]] = {}
    for name, expected_inside in lists.inside.items():
        text = files.write_text(name, public.layout.pairs(converted.texts, name))
        pairs[name] = folders.read_official_pairs(
            text, expected_inside, public.layout, converted.destinations
        )
    for remote, expected in lists.pairs.items():

        def read(remote: transfer.Remote = remote, expected: int = expected) -> None:
            path = files.get_file(remote)
            pairs[remote.name] = folders.read_official_pairs(
                path, expected, public.layout, converted.destinations
            )

        if remote.name == test_list:
            read()
        else:
            with files.tolerate_failure(remote):
                read()
    return pairs


def _move_into_place(whole: Path, folder: Path) -> None:
    """Move the finished corpus into its folder."""
    # The lists go before `wav/`: a folder with lists and no audio is refused, the reverse is not.
    for path in sorted(whole.iterdir(), key=lambda path: path.name == "wav"):
        path.replace(folder / path.name)


def _move_back(folder: Path, whole: Path) -> None:
    """Move back what a call had moved into place before it died."""
    whole.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in (UNFINISHED, ARCHIVES):
            path.replace(whole / path.name)


def _keep_archives(unfinished: Path, folder: Path, names: Sequence[str] | dict[str, str]) -> None:
    (folder / ARCHIVES).mkdir(exist_ok=True)
    for name in names:
        if (path := unfinished / name).is_file():
            path.replace(folder / ARCHIVES / name)
