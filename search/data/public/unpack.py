"""Iterate over the files of archives and folders; never write where an archive says.

No archive is trusted: a name or a link that leads out of it, a device, or a file that is larger
than any utterance is an error.
"""

import io
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from search.core.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST_FILE = 1 << 30
"""In bytes; an hour of speech has a tenth of that."""


@dataclass(frozen=True)
class Member:
    """A regular file of an archive or folder."""

    name: str
    """Its path in there, with slashes, without a leading `./`."""
    source: Path
    """The archive, or the file itself."""
    open: Callable[[], IO[bytes]]

    def copy_to(self, out: IO[bytes]) -> None:
        """Write the contents to `out`; call it before the next member is taken from the iterator.

        Raises:
            UsageError: if the archive is cut short or damaged.
        """
        with _name_damage(self.source), self.open() as file:
            shutil.copyfileobj(file, out, 1 << 20)


def iterate_members(parts: Sequence[Path]) -> Iterator[Member]:
    """Yield the regular files of a tar or zip archive, in its order.

    Args:
        parts: the archive's file, or the pieces it was cut into, in order.

    Raises:
        UsageError: for what is damaged, or would lead out of a folder it was unpacked in.
    """
    with _name_damage(parts[0]), ExitStack() as stack:
        files = [stack.enter_context(part.open("rb")) for part in parts]
        whole = files[0] if len(files) == 1 else io.BufferedReader(_Joined(files))
        if zipfile.is_zipfile(whole):
            yield from _iterate_zip(parts[0], stack.enter_context(zipfile.ZipFile(whole)))
        else:
            whole.seek(0)
            tar = stack.enter_context(tarfile.open(fileobj=whole, mode="r:*"))
            yield from _iterate_tar(parts[0], tar)


@contextmanager
def _name_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as bad:
        raise UsageError(
            f"{path}: not a whole tar or zip archive ({bad}); remove it and get it anew"
        ) from bad


def iterate_files(folder: Path) -> Iterator[Member]:
    """Yield the regular files of a folder, sorted; links are skipped."""
    for path in sorted(folder.rglob("*")):
        if stat.S_ISREG(path.lstat().st_mode):
            name = path.relative_to(folder).as_posix()
            yield Member(name, path, partial(_open_file, path))


def _open_file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _iterate_tar(path: Path, archive: tarfile.TarFile) -> Iterator[Member]:
    for entry in archive:
        try:
            # Nothing is unpacked there; the filter only judges the name, the link and the mode.
            tarfile.data_filter(entry, "/unpacked/here")
        except tarfile.FilterError as error:
            raise _hostile_error(path, entry.name, str(error)) from error
        if entry.isreg():
            yield _check_member(path, entry.name, entry.size, partial(_extract, archive, entry))


def _extract(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(entry)
    assert file is not None, "only regular files are yielded"
    return file


def _iterate_zip(path: Path, archive: zipfile.ZipFile) -> Iterator[Member]:
    for entry in archive.infolist():
        # Zip keeps the Unix mode, by which a link is recognised, in the upper half.
        mode = entry.external_attr >> 16
        if stat.S_ISLNK(mode):
            raise _hostile_error(path, entry.filename, "it is a link")
        if entry.flag_bits & 1:
            raise UsageError(f"{path}: {entry.filename} is encrypted; unpack it by hand")
        if not entry.is_dir():
            yield _check_member(path, entry.filename, entry.file_size, partial(archive.open, entry))


def _check_member(path: Path, name: str, size: int, opener: Callable[[], IO[bytes]]) -> Member:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or "\0" in name or not parts:
        raise _hostile_error(path, name, "it leads out of the archive")
    # A small archive may claim, and unpack to, any size.
    if size > LARGEST_FILE:
        raise _hostile_error(path, name, f"{size} bytes are more than the {LARGEST_FILE} allowed")
    return Member("/".join(parts), path, opener)


def _hostile_error(path: Path, name: str, why: str) -> UsageError:
    return UsageError(
        f"{path}: {name!a} is refused: {why}; no archive of a public corpus has such a file, do "
        "not use this one"
    )


class _Joined(io.RawIOBase):
    """Reads the pieces of an archive as one file, without a copy."""

    def __init__(self, files: Sequence[IO[bytes]]) -> None:
        self._files = files
        self._sizes = [file.seek(0, io.SEEK_END) for file in files]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: sum(self._sizes)}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        start = 0
        for file, size in zip(self._files, self._sizes, strict=True):
            if start <= self._at < start + size:
                file.seek(self._at - start)
                block = file.read(min(len(view), start + size - self._at))
                view[: len(block)] = block
                self._at += len(block)
                return len(block)
            start += size
        return 0
