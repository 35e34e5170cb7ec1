"""Download a file so that it is whole and checked or not there; continue after interruptions.

What has come so far is `<name>.part`, with `<name>.part.json` beside it, which says of what.
"""

import contextlib
import errno
import hashlib
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from search.core.errors import EnvironmentSetupError, UsageError
from spkmodel.core.progress import Progress, silent

log = logging.getLogger(__name__)

MEGABYTE = 10**6
WAITS_SECONDS = (1.0, 5.0, 20.0)
"""Before each further attempt; a transfer that moved on starts over with the first."""
_TIMEOUT_SECONDS = 60.0
_BLOCK = 1 << 20
_RETRY_STATUSES = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Remote:
    """A file at a URL."""

    url: str
    sha256: str = ""
    """Empty where its publisher gives none."""
    md5: str = ""
    """Looked at where there is no SHA-256: OpenSLR publishes this one."""

    def find_damage(self, path: Path, sha256: str) -> str:
        """Return how a file, whose SHA-256 is known, differs from what was published; or empty."""
        if self.sha256:
            found = "" if sha256 == self.sha256 else sha256
            return f"SHA-256 {found}, published is {self.sha256}" if found else ""
        if not self.md5:
            return ""
        with path.open("rb") as file:
            # Against damage, not against an attacker.
            found = hashlib.file_digest(
                file, partial(hashlib.md5, usedforsecurity=False)
            ).hexdigest()
        return f"MD5 {found}, published is {self.md5}" if found != self.md5 else ""

    @property
    def name(self) -> str:
        """The name of the file."""
        return Path(urlsplit(self.url).path).name


class Forbidden(EnvironmentSetupError):
    """The server asks for a login."""


@dataclass(frozen=True)
class _Origin:
    """The file that a part was downloaded from."""

    url: str
    mark: str
    """The ETag or the date by which the server identifies this version, if it gives one."""
    total: int


class _Broken(Exception):
    """The connection ended too early, or the server was busy: another attempt is worth it."""


class _Restart(Exception):
    """The part is not a beginning of the server's file: the download starts again."""


def download(
    remote: Remote,
    path: Path,
    progress: Progress = silent,
    waits_seconds: Sequence[float] = WAITS_SECONDS,
) -> str:
    """Download a file, or the rest of it, and return its SHA-256.

    Args:
        remote: its address and, where known, its checksum.
        path: where it goes once it is whole. A file that is there already is checked, and
            downloaded again if it is not what `remote` says.
        progress: called with megabytes.
        waits_seconds: pauses after a broken connection.

    Raises:
        Forbidden: if the server answers 401 or 403.
        EnvironmentSetupError: if the file is not there, cannot be reached or is not the published
            one, or if there is no space.
    """
    if urlsplit(remote.url).scheme not in ("http", "https"):
        raise UsageError(f"{remote.url}: an address starts with http:// or https://")
    if path.is_file():
        found = hash_file(path)
        if not (damage := remote.find_damage(path, found)):
            return found
        log.warning("%s: %s: brought anew", path, damage)
        path.unlink()
    part = path.with_name(path.name + ".part")
    resumed = _transfer(remote, part, progress, waits_seconds)
    found = hash_file(part)
    # Once more from the start, but only if a part was resumed: a second download of the same file
    # would not differ.
    if remote.find_damage(part, found) and resumed:
        # The beginning may be of an older version, whose server marks no versions.
        discard(part)
        _transfer(remote, part, progress, waits_seconds)
        found = hash_file(part)
    if damage := remote.find_damage(part, found):
        discard(part)
        raise EnvironmentSetupError(
            f"{remote.url}: what came has {damage}: the file "
            "there was changed or is damaged, nothing of it was kept; try again, or another "
            "--mirror"
        )
    part.replace(path)
    _note_path(part).unlink(missing_ok=True)
    return found


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def discard(part: Path) -> None:
    """Remove a part and the note about it."""
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _transfer(
    remote: Remote, part: Path, progress: Progress, waits_seconds: Sequence[float]
) -> bool:
    """Download the whole file into `part`; return whether some of it was there before."""
    resumed = _size(part) > 0
    failures = 0
    while True:
        before = _size(part)
        try:
            _download_once(remote.url, part, progress)
            return resumed
        except _Restart:
            discard(part)
            resumed = False
        except _Broken as error:
            # Progress resets the count: a slow line that breaks every hour still gets there.
            failures = 1 if _size(part) > before else failures + 1
            if failures > len(waits_seconds):
                raise EnvironmentSetupError(
                    f"{remote.url}: {error}; {_size(part) // MEGABYTE} MB are here, the same "
                    "command goes on from there"
                ) from error
            log.info("%s: %s; attempt %d follows", remote.url, error, failures + 1)
            time.sleep(waits_seconds[failures - 1])


def _download_once(url: str, part: Path, progress: Progress) -> None:
    """Append to `part` over one connection until it is whole.

    Raises:
        _Broken: if the connection ends before.
        _Restart: if the server's file is another one than that of `part`.
    """
    origin, have = _read_note(part), _size(part)
    if have and (origin is None or origin.url != url):
        raise _Restart
    headers = _make_headers(origin, have)
    try:
        with _open(url, headers) as response:
            if have and not _is_continuation(response, origin, have):
                have = 0
            if not have:
                part.unlink(missing_ok=True)  # before the note: it must not name these bytes
            now = _read_origin(url, response, have)
            _write_note(part, now)
            _write(response, part, have, now, progress)
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection, which Python 3.14 warns about
        if error.code == 416 and origin is not None and have == origin.total:
            return
        raise _http_error(url, error) from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise _Broken(f"the connection failed ({reason or type(error).__name__})") from error


def _make_headers(origin: _Origin | None, have: int) -> dict[str, str]:
    """Return headers that ask for the rest, provided the file is still the same."""
    # identity: a compressed answer would have other byte positions than the file.
    headers = {"User-Agent": "spksearch", "Accept-Encoding": "identity"}
    if origin is not None and have:
        # If-Range makes the server send the whole file if it has changed meanwhile.
        headers["Range"] = f"bytes={have}-"
        if origin.mark:
            headers["If-Range"] = origin.mark
    return headers


def _open(url: str, headers: dict[str, str]) -> HTTPResponse:
    request = urllib.request.Request(url, headers=headers)
    return cast("HTTPResponse", urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS))


def _is_continuation(response: HTTPResponse, origin: _Origin | None, have: int) -> bool:
    """Return whether the answer continues the part; if not, it is the whole file."""
    if response.status != 206:
        return False
    span, _, total = response.headers.get("Content-Range", "").partition("/")
    # A proxy may answer with another range than was asked for.
    if not span.startswith(f"bytes {have}-"):
        raise _Restart
    if origin is None or (total.isdigit() and int(total) != origin.total):
        raise _Restart
    return True


def _read_origin(url: str, response: HTTPResponse, have: int) -> _Origin:
    length = response.headers.get("Content-Length", "")
    etag = response.headers.get("ETag", "")
    # A weak tag may stand for files of the same meaning and other bytes.
    mark = "" if etag.startswith("W/") else etag
    total = have + int(length) if length.isdigit() else 0
    return _Origin(url, mark or response.headers.get("Last-Modified", ""), total)


def _write(
    response: HTTPResponse, part: Path, have: int, origin: _Origin, progress: Progress
) -> None:
    try:
        with part.open("ab" if have else "wb") as out:
            while block := response.read(_BLOCK):
                out.write(block)
                have += len(block)
                progress(have // MEGABYTE, max(have, origin.total) // MEGABYTE)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise EnvironmentSetupError(
            f"{part}: no space left after {_size(part) // MEGABYTE} of "
            f"{origin.total // MEGABYTE} MB; make room, the same command goes on from there"
        ) from error
    if origin.total and have < origin.total:
        raise _Broken(f"the connection ended after {have} of {origin.total} bytes")
    if origin.total and have > origin.total:
        raise _Restart


def _http_error(url: str, error: urllib.error.HTTPError) -> Exception:
    said = f"the server answers {error.code} ({error.reason})"
    if error.code in _RETRY_STATUSES:
        return _Broken(said)
    if error.code == 416:
        return _Restart()
    if error.code in (401, 403):
        return Forbidden(f"{url}: {said}: it gives this file only to those it knows")
    return EnvironmentSetupError(
        f"{url}: {said}; it may have moved: name another place with --mirror URL, or download it "
        "by hand and give its folder with --from FOLDER"
    )


# --- what is here so far ---------------------------------------------------------------------


def _note_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_note(part: Path, origin: _Origin) -> None:
    _note_path(part).write_text(json.dumps(asdict(origin)), encoding="utf-8")


def _read_note(part: Path) -> _Origin | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return _Origin(**json.loads(_note_path(part).read_bytes()))
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
