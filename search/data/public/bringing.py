"""Where a corpus's files come from: a folder that has them, or the network."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from search.core.errors import EnvironmentSetupError, SpksearchError, UsageError
from search.core.progress import Display
from search.data.public import transfer
from search.data.public.catalogue import Archive, PublicCorpus
from search.data.public.transfer import Forbidden, Remote
from search.data.public.unpack import Member, files_below, members


class Bringer:
    """Brings files into a folder, each checked, and remembers which."""

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
        """SHA-256 of everything that was read."""
        self.notices: list[str] = []
        """What was not as it should be, and did not matter enough to stop."""

    def members(self, archives: Sequence[Archive]) -> Iterator[Member]:
        """What is in the archives, or in the given folder where they were unpacked.

        The archives are here when this returns; what is in them is read as it is asked for.
        """
        given = [self._given(archive) for archive in archives]
        if self._source is not None and not any(given):
            self.notices.append("made from an unpacked folder, which has no checksum to compare")
            return files_below(self._source)
        here = [
            paths or [self.file(piece) for piece in archive.pieces]
            for archive, paths in zip(archives, given, strict=True)
        ]
        return chain.from_iterable(map(members, here))

    def arrived(self, archives: Sequence[Archive]) -> int:
        """How many bytes of the archives have come already, unfinished ones included."""
        names = [name for archive in archives for name in archive.names]
        places = [self._into / f"{name}{end}" for name in names for end in ("", ".part")]
        return sum(place.stat().st_size for place in places if place.is_file())

    def file(self, remote: Remote) -> Path:
        """One file, from the given folder if it is there, else from the network."""
        if self._source is not None and (path := self._source / remote.name).is_file():
            self._check(path, remote)
            return path
        self._into.mkdir(parents=True, exist_ok=True)
        path = self._into / remote.name
        at = Remote(self._address(remote), remote.sha256)
        with self._display.task(f"downloading {remote.name}", "MB") as progress:
            try:
                self.files[remote.name] = transfer.fetch(at, path, progress, self._waits)
            except Forbidden as error:
                raise Forbidden(f"{error}; {self._public.access or _BY_HAND}") from error
        return path

    @contextmanager
    def optional(self, remote: Remote) -> Iterator[None]:
        """What goes wrong with this file is a notice, not an end."""
        try:
            yield
        except SpksearchError as error:
            self.notices.append(f"without {remote.name}: {error}")
            self._display.print_line(f"going on without {remote.name}: {error}")

    def _given(self, archive: Archive) -> list[Path]:
        """The archive's files in the given folder; empty if it has none of them.

        Raises:
            UsageError: if it has some of the pieces.
            EnvironmentSetupError: if one is not what was published.
        """
        if self._source is None:
            return []
        if archive.joined and (whole := self._source / archive.joined).is_file():
            self.files[archive.joined] = transfer.sha256_of(whole)
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
        found = transfer.sha256_of(path)
        if remote.sha256 not in ("", found):
            raise EnvironmentSetupError(
                f"{path}: SHA-256 {found}, published is {remote.sha256}: it was cut short, damaged "
                "or changed; download it again"
            )
        self.files[remote.name] = found

    def _address(self, remote: Remote) -> str:
        if self._mirror is None:
            return remote.url
        return f"{self._mirror.rstrip('/')}/{remote.name}"


_BY_HAND = "download it by hand, and give its folder with --from FOLDER"
