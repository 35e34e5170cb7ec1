"""Fetch the public sets of noise and rooms: MUSAN and RIRS_NOISES.

They are no corpora: nothing is converted or listed, and both may go into one folder. What is
unfinished is in `<folder>/.fetch-<name>`; a set's own folder is there once it is whole.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.core.errors import EnvironmentSetupError, UsageError
from search.core.progress import Display, Silent
from search.data.public import transfer
from search.data.public.fetch import lock_folder, measure_free_bytes
from search.data.public.transfer import Remote
from search.data.public.unpack import iterate_members
from spkmodel.core.progress import Progress


@dataclass(frozen=True)
class NoiseSet:
    """A set of recordings as it is published: one archive with one folder in it."""

    name: str
    about: str
    archive: Remote
    folder: str
    """The folder in the archive, which its name below the given folder is, too."""
    files: int
    """Audio files in it."""
    download_bytes: int
    unpacked_bytes: int
    licence: str
    page: str


@dataclass(frozen=True)
class FetchedNoise:
    """A whole set in a folder."""

    name: str
    folder: str
    files: int
    sha256: str
    """Of the archive; empty where the set was there before."""
    licence: str
    page: str


NOISE_SETS = (
    NoiseSet(
        name="musan",
        about="noise, music and speech, to be put behind speech",
        archive=Remote(
            "https://www.openslr.org/resources/17/musan.tar.gz",
            md5="0c472d4fc0c5141eca47ad1ffeb2a7df",
        ),
        folder="musan",
        files=2_016,
        download_bytes=11_086_114_085,
        unpacked_bytes=12_600 * 10**6,
        licence="CC BY 4.0 and public domain",
        page="https://www.openslr.org/17",
    ),
    NoiseSet(
        name="rirs_noises",
        about="simulated and real room responses, and noises",
        archive=Remote(
            "https://www.openslr.org/resources/28/rirs_noises.zip",
            md5="e6f48e257286e05de56413b4779d8ffb",
        ),
        folder="RIRS_NOISES",
        files=61_260,
        download_bytes=1_311_166_223,
        unpacked_bytes=3_000 * 10**6,
        licence="Apache 2.0",
        page="https://www.openslr.org/28",
    ),
)


def find_noise_set(name: str) -> NoiseSet | None:
    """Return the set of a name; None if it is none of these."""
    return next((each for each in NOISE_SETS if each.name == name), None)


def fetch_noise_set(
    noise: NoiseSet,
    folder: Path,
    *,
    source: Path | None = None,
    mirror: str | None = None,
    keep_archives: bool = False,
    display: Display | None = None,
    free: Callable[[Path], int] = measure_free_bytes,
    waits_seconds: Sequence[float] = transfer.WAITS_SECONDS,
) -> FetchedNoise:
    """Make `folder` have the set, whole; continue a download that was interrupted.

    Args:
        noise: the set.
        folder: may hold other sets already.
        source: a folder with the archive; nothing there is changed.
        mirror: an address that the archive lies below, instead of its publisher's.
        keep_archives: whether the archive stays beside the set.
        display: shows the progress.
        free: returns the free bytes of a folder's disk.
        waits_seconds: pauses after a broken connection.

    Raises:
        UsageError: if the archive is damaged or another one.
        EnvironmentSetupError: if the network, a server or the disk prevents it.
    """
    display = display or Silent()
    final = folder / noise.folder
    if final.exists():
        count = _count(final)
        if count < noise.files:
            raise UsageError(
                f"{final}: {count:,} of {noise.files:,} audio files are there; remove the folder "
                "and fetch it anew"
            )
        return FetchedNoise(noise.name, str(final), count, "", noise.licence, noise.page)
    unfinished = folder / f".fetch-{noise.name}"
    _require_space(noise, folder, unfinished / noise.archive.name, source is None, free)
    with lock_folder(unfinished):
        archive, sha256 = _get_archive(noise, source, mirror, unfinished, display, waits_seconds)
        whole = unfinished / "unpacked"
        shutil.rmtree(whole, ignore_errors=True)
        with display.task(f"unpacking {noise.name}", "files") as progress:
            _unpack(noise, archive, whole, progress)
        if (count := _count(whole)) < noise.files:
            raise UsageError(
                f"{archive}: {count:,} audio files in {noise.folder}/, published are "
                f"{noise.files:,}; it is not {noise.name}, or not whole"
            )
        if keep_archives and source is None:
            archive.replace(folder / archive.name)
        whole.rename(final)
    shutil.rmtree(unfinished, ignore_errors=True)
    return FetchedNoise(noise.name, str(final), count, sha256, noise.licence, noise.page)


def _require_space(
    noise: NoiseSet, folder: Path, here: Path, is_download: bool, free: Callable[[Path], int]
) -> None:
    """Require room for the set, and beside it for what is still to be downloaded."""
    done = here.stat().st_size if here.is_file() else 0
    needed = noise.unpacked_bytes + (max(0, noise.download_bytes - done) if is_download else 0)
    if (available := free(folder)) < needed:
        raise EnvironmentSetupError(
            f"{folder}: {noise.name} needs about {needed / 1e9:.1f} GB there, "
            f"{available / 1e9:.1f} GB are free; make room or name another disk"
        )


def _get_archive(
    noise: NoiseSet,
    source: Path | None,
    mirror: str | None,
    unfinished: Path,
    display: Display,
    waits_seconds: Sequence[float],
) -> tuple[Path, str]:
    """Return the archive, checked, and its SHA-256."""
    if source is not None:
        path = source / noise.archive.name
        if not path.is_file():
            raise UsageError(f"{source}: has no {noise.archive.name}; --from names its folder")
        display.print_line(f"checking {path}")
        sha256 = transfer.hash_file(path)
        if damage := noise.archive.find_damage(path, sha256):
            raise EnvironmentSetupError(f"{path}: {damage}: cut short or changed; get it again")
        return path, sha256
    remote = noise.archive
    if mirror is not None:
        remote = Remote(f"{mirror.rstrip('/')}/{remote.name}", remote.sha256, remote.md5)
    path = unfinished / remote.name
    with display.task(f"downloading {remote.name}", "MB") as progress:
        return path, transfer.download(remote, path, progress, waits_seconds)


def _unpack(noise: NoiseSet, archive: Path, whole: Path, progress: Progress) -> None:
    """Write the files of the archive's folder; names that lead out of it are an error."""
    done = 0
    for member in iterate_members([archive]):
        top, _, below = member.name.partition("/")
        if top != noise.folder or not below:
            continue
        path = whole / below
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            member.copy_to(out)
        done += path.suffix == ".wav"
        progress(done, noise.files)


def _count(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*.wav") if path.is_file())
