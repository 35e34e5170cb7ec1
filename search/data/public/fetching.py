"""A public corpus from its name to a folder that trains: brought, converted, listed, in one go.

Everything unfinished is in `<folder>/.fetch`; the folder has `source.json` once it is whole.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from search.core.errors import EnvironmentSetupError, UsageError
from search.core.progress import Display, Silent
from search.data.public import folder as folders
from search.data.public import transfer
from search.data.public.bringing import Bringer
from search.data.public.catalogue import Archive, Lists, PublicCorpus
from search.data.public.folder import Fetched
from search.data.public.gather import Gathered, gather
from spkmodel.data.lists import DEV_LIST, TEST_LIST, TRAIN_LIST, Pair

UNFINISHED = ".fetch"
ARCHIVES = "archives"
_MOST_UNUSABLE = 0.01
"""Of the utterances; with more, it is the archive that is damaged."""


def free_bytes(folder: Path) -> int:
    """On the disk that a folder, which need not exist, is or will be on."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def fetch(
    public: PublicCorpus,
    folder: Path,
    *,
    source: Path | None = None,
    mirror: str | None = None,
    test_list: str | None = None,
    keep_archives: bool = False,
    seed: int = 0,
    display: Display | None = None,
    free: Callable[[Path], int] = free_bytes,
    waits_seconds: Sequence[float] = transfer.WAITS_SECONDS,
) -> Fetched:
    """Make `folder` the corpus; what an interrupted call left is gone on with.

    Args:
        public: which.
        folder: new, empty, or left by a call like this one.
        source: a folder with its archives, or with what was in them; nothing there is changed.
        mirror: an address that its files lie below, instead of their publisher's.
        test_list: the official list of pairs to become `test_trials.txt`; its first by default.
        keep_archives: do not remove what was downloaded once the corpus is whole.
        seed: of what is drawn where nothing is official.
        display: what is told meanwhile.
        free: how many bytes a folder's disk has left.
        waits_seconds: pauses after a broken connection.

    Raises:
        UsageError: the folder is something else, the archives are.
        EnvironmentSetupError: the network, its servers or the disk are in the way.
    """
    display = display or Silent()
    wanted = _test_list(public, test_list)
    if (there := folders.read_mark(folder)) is not None:
        return _as_asked(there, folder, public, wanted, seed)
    unfinished = folder / UNFINISHED
    _require_ours(folder)
    bring = Bringer(public, unfinished, source, mirror, display, waits_seconds)
    archives = public.archives()
    _require_space(public, folder, 0 if source else public.download_bytes, bring, archives, free)
    with _alone(unfinished):
        whole = unfinished / "corpus"
        _take_back(folder, whole)
        gathered = _gathered(public, archives, bring, whole, display)
        fetched = _listed(public, bring, whole, gathered, wanted, seed)
        folders.write_note(whole, public, fetched)
        _move_into_place(whole, folder)
        if keep_archives:
            _keep(unfinished, folder, bring.files)
        folders.write_mark(folder, fetched)
    shutil.rmtree(unfinished, ignore_errors=True)
    return fetched


def _test_list(public: PublicCorpus, asked: str | None) -> str:
    names = [remote.name for remote in public.lists().pairs]
    if asked is None:
        return names[0] if names else ""
    if asked not in names:
        there = f"it has {', '.join(names)}" if names else "it has none: its pairs are drawn"
        raise UsageError(f"--test-list {asked}: no official list of {public.name}; {there}")
    return asked


def _as_asked(
    there: Fetched, folder: Path, public: PublicCorpus, test_list: str, seed: int
) -> Fetched:
    """The whole folder that is there, if it is what was asked for.

    Raises:
        UsageError: if it is not, or not whole any more.
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


def _require_ours(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a new folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / UNFINISHED).is_dir():
        raise UsageError(f"{folder} holds something else; name a new or an empty folder")


def _require_space(
    public: PublicCorpus,
    folder: Path,
    download_bytes: int,
    bring: Bringer,
    archives: Sequence[Archive],
    free: Callable[[Path], int],
) -> None:
    """The download and the corpus beside it have room, less what has come already."""
    wav = folder / UNFINISHED / "corpus" / "wav"
    done = sum(path.stat().st_size for path in wav.rglob("*.flac")) if wav.is_dir() else 0
    left = max(0, download_bytes - bring.arrived(archives)) + max(0, public.folder_bytes - done)
    available = free(folder)
    if available < left:
        raise EnvironmentSetupError(
            f"{folder}: {public.name} needs about {left / 1e9:.1f} GB there (download and corpus "
            f"side by side), {available / 1e9:.1f} GB are free; make room or name another "
            "disk"
        )


@contextmanager
def _alone(unfinished: Path) -> Iterator[None]:
    """No second process works in the same folder."""
    unfinished.mkdir(parents=True, exist_ok=True)
    with (unfinished / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EnvironmentSetupError(
                f"{unfinished.parent}: another process fetches into this folder; wait for it"
            ) from error
        yield


def _gathered(
    public: PublicCorpus,
    archives: Sequence[Archive],
    bring: Bringer,
    whole: Path,
    display: Display,
) -> Gathered:
    """All utterances of the archives, below `whole`."""
    gathered = Gathered()
    found = bring.members(archives)
    with display.task(f"unpacking {public.name}", "utterances") as progress:
        gather(found, public.layout, whole, gathered, public.utterances, progress)
    shutil.rmtree(whole / ".unpacked", ignore_errors=True)
    count, bad = len(gathered.places), len(gathered.unusable)
    if not count:
        raise UsageError(
            f"no utterance of {public.name} was found; its archives are "
            f"{', '.join(name for archive in archives for name in archive.names)}, unpacked they "
            f"have paths such as {public.layout.shows}"
        )
    if bad > _MOST_UNUSABLE * (count + bad):
        some = next(iter(gathered.unusable.items()))
        raise EnvironmentSetupError(
            f"{bad} of {count + bad} utterances cannot be used, such as {some[0]} ({some[1]}): the "
            "archive or the folder is damaged"
        )
    if count + bad < public.utterances:
        bring.notices.append(
            f"{count + bad:,} utterances were found of about {public.utterances:,}"
        )
    return gathered


def _listed(
    public: PublicCorpus, bring: Bringer, whole: Path, gathered: Gathered, test_list: str, seed: int
) -> Fetched:
    """The lists of the folder, and all there is to say of it."""
    lists = public.lists()
    pairs = _official_pairs(lists, bring, public, gathered, test_list)
    for name in (TRAIN_LIST, DEV_LIST, TEST_LIST):  # of a call that did not come to its end
        (whole / name).unlink(missing_ok=True)
    if lists.identification is None:
        corpus = folders.write_lists(whole, gathered, public.layout, pairs, test_list, seed)
    else:
        parts = bring.file(lists.identification)
        corpus = folders.write_identification(whole, parts, gathered, public.layout, seed)
    speakers = {place.speaker for place in gathered.places.values()}
    folders.write_people(whole / folders.PEOPLE, public.layout.people(gathered.texts), speakers)
    return Fetched(
        corpus=public.name,
        licence=public.licence,
        page=public.page,
        files=bring.files,
        utterances=len(gathered.places),
        speakers=folders.speakers_by_split(corpus),
        pairs={
            **{name: len(listed) for name, listed in pairs.items()},
            DEV_LIST: len(corpus.dev_pairs),
            TEST_LIST: len(corpus.test_pairs),
        },
        test_list=test_list,
        seed=seed,
        unusable=gathered.unusable,
        notices=bring.notices,
    )


def _official_pairs(
    lists: Lists, bring: Bringer, public: PublicCorpus, gathered: Gathered, test_list: str
) -> dict[str, list[Pair]]:
    """By name; only the one that becomes the test list has to be had."""
    pairs: dict[str, list[Pair]] = {}
    for remote, expected in lists.pairs.items():

        def read(remote: transfer.Remote = remote, expected: int = expected) -> None:
            path = bring.file(remote)
            pairs[remote.name] = folders.official_pairs(
                path, expected, public.layout, gathered.places
            )

        if remote.name == test_list:
            read()
        else:
            with bring.optional(remote):
                read()
    return pairs


def _move_into_place(whole: Path, folder: Path) -> None:
    """The lists before `wav/`: a folder with lists and no audio is refused, the reverse is not."""
    for path in sorted(whole.iterdir(), key=lambda path: path.name == "wav"):
        path.replace(folder / path.name)


def _take_back(folder: Path, whole: Path) -> None:
    """What a call that died while moving into place had moved."""
    whole.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in (UNFINISHED, ARCHIVES):
            path.replace(whole / path.name)


def _keep(unfinished: Path, folder: Path, names: Sequence[str] | dict[str, str]) -> None:
    (folder / ARCHIVES).mkdir(exist_ok=True)
    for name in names:
        if (path := unfinished / name).is_file():
            path.replace(folder / ARCHIVES / name)
