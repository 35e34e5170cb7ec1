"""Get the files of a public corpus from a folder that has them, or from the network."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from search.core.errors import EnvironmentSetupError, SpksearchError, UsageError
from search.core.progress import Display
from search.data.public import transfer
from search.data.public.public_corpus import Archive, PublicCorpus
from search.data.public.transfer import Forbidden, Remote
from search.data.public.unpack import Member, iterate_files, iterate_members


class FileSource:
    """Gets files, checks each of them, and remembers which they were."""

    def __init__(
        self,
        public: PublicCorpus,
        into: Path,
        source: Path | None,
        mirror: str | None,
        display: Display,
        waits_seconds: Sequence[float],
    ) -> None:
        if source is not None and not source.is_dir():
            raise UsageError(f"{source} is not a folder; --from names one that has the archives")
        if mirror is not None and urlsplit(mirror).scheme not in ("http", "https"):
            raise UsageError(f"--mirror {mirror}: an address starts with http:// or https://")
        self._public, self._into, self._source = public, into, source
        self._mirror, self._display, self._waits = mirror, display, waits_seconds
        self.files: dict[str, str] = {}
        """The SHA-256 of every file that was read."""
        self.notices: list[str] = []
        """What was wrong without being a reason to stop."""

    def read_members(self, archives: Sequence[Archive]) -> Iterator[Member]:
        """Return what is in the archives, or in the given folder if they were unpacked there.

        The archives are complete when this returns; their contents are read as they are used.
        """
        given = [self._find_given(archive) for archive in archives]
        # Archives in the folder win: their checksums can be compared, those of loose files cannot.
        if self._source is not None and not any(given):
            self.notices.append("made from an unpacked folder, which has no checksum to compare")
            return iterate_files(self._source)
        here = [
            paths or [self.get_file(piece) for piece in archive.pieces]
            for archive, paths in zip(archives, given, strict=True)
        ]
        return chain.from_iterable(map(iterate_members, here))

    def count_bytes(self, archives: Sequence[Archive]) -> int:
        """Return how many bytes of the archives are here already, unfinished ones included."""
        names = [name for archive in archives for name in archive.names]
        places = [self._into / f"{name}{end}" for name in names for end in ("", ".part")]
        return sum(place.stat().st_size for place in places if place.is_file())

    def get_file(self, remote: Remote) -> Path:
        """Return one file, from the given folder if it is there, else from the network."""
        if self._source is not None and (path := self._source / remote.name).is_file():
            self._check(path, remote)
            return path
        self._into.mkdir(parents=True, exist_ok=True)
        path = self._into / remote.name
        at = replace(remote, url=self._address(remote))
        with self._display.task(f"downloading {remote.name}", "MB") as progress:
            try:
                self.files[remote.name] = transfer.download(at, path, progress, self._waits)
            except Forbidden as error:
                raise Forbidden(f"{error}; {self._public.access or _BY_HAND}") from error
        return path

    def write_text(self, name: str, lines: Iterable[str]) -> Path:
        """Write a list that was found in an archive, and return its path."""
        self._into.mkdir(parents=True, exist_ok=True)
        path = self._into / name
        with path.open("w", encoding="utf-8") as out:
            out.writelines(f"{line}\n" for line in lines)
        return path

    @contextmanager
    def tolerate_failure(self, remote: Remote) -> Iterator[None]:
        """Turn a failure with this file into a notice, while the context lasts."""
        try:
            yield
        except SpksearchError as error:
            self.notices.append(f"without {remote.name}: {error}")
            self._display.print_line(f"going on without {remote.name}: {error}")

    def _find_given(self, archive: Archive) -> list[Path]:
        """Return the archive's files in the given folder; empty if it has none of them.

        Raises:
            UsageError: if it has some of the pieces.
            EnvironmentSetupError: if one is not what was published.
        """
        if self._source is None:
            return []
        if archive.joined and (whole := self._source / archive.joined).is_file():
            self.files[archive.joined] = transfer.hash_file(whole)
            return [whole]
        paths = [self._source / name for name in archive.names]
        there = [path for path in paths if path.is_file()]
        if there and len(there) < len(paths):
            missing = ", ".join(path.name for path in paths if path not in there)
            raise UsageError(f"{self._source} has {there[0].name}, but not {missing}")
        for path, piece in zip(there, archive.pieces, strict=False):
            self._check(path, piece)
        return there

    def _check(self, path: Path, remote: Remote) -> None:
        self._display.print_line(f"checking {path}")
        found = transfer.hash_file(path)
        if damage := remote.find_damage(path, found):
            raise EnvironmentSetupError(
                f"{path}: {damage}: it was cut short, damaged or changed; download it again"
            )
        self.files[remote.name] = found

    def _address(self, remote: Remote) -> str:
        if self._mirror is None:
            return remote.url
        return f"{self._mirror.rstrip('/')}/{remote.name}"


_BY_HAND = "download it by hand, and give its folder with --from FOLDER"
