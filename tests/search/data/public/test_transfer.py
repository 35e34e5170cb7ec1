"""A file comes whole and checked or not at all, and an interrupted one is gone on with."""

import errno
import hashlib
import json
import socket

import pytest

from search.core.errors import EnvironmentSetupError, UsageError
from search.data.public import transfer
from search.data.public.transfer import Forbidden, Remote

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = CONTENT[::-1]
LENGTH = len(CONTENT)
NO_WAIT = (0.0, 0.0)


def fetch(url, path, sha256=SHA256, **more):
    return transfer.download(Remote(url, sha256), path, waits_seconds=NO_WAIT, **more)


def ranges(file_server):
    return [wanted for _, wanted in file_server.asked]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tar"


@pytest.fixture
def parted(path):
    """Leaves the first bytes of a file as an interrupted call would."""

    def part(url, content, mark="", total=LENGTH):
        path.with_name("a.tar.part").write_bytes(content)
        note = {"url": url, "mark": mark, "total": total}
        path.with_name("a.tar.part.json").write_text(json.dumps(note))

    return part


def test_a_file_comes_whole_with_its_checksum_and_nothing_beside_it(file_server, path):
    assert fetch(file_server.put("a.tar", CONTENT), path) == SHA256
    assert path.read_bytes() == CONTENT
    assert [each.name for each in path.parent.iterdir()] == ["a.tar"]


def test_a_whole_file_is_not_fetched_again_and_a_damaged_one_is(file_server, path):
    url = file_server.put("a.tar", CONTENT)
    path.write_bytes(CONTENT)
    fetch(url, path)
    assert file_server.asked == []
    path.write_bytes(OTHER)
    fetch(url, path)
    assert path.read_bytes() == CONTENT


def test_a_broken_transfer_goes_on_where_it_stopped(file_server, path):
    url = file_server.put("a.tar", CONTENT, mark='"v1"')
    file_server.breaks_after = [1000, 2000]
    fetch(url, path)
    assert path.read_bytes() == CONTENT
    assert ranges(file_server) == [None, "bytes=1000-", "bytes=3000-"]


def test_an_interrupted_call_is_gone_on_with_by_the_next(file_server, path, parted):
    url = file_server.put("a.tar", CONTENT, mark='"v1"')
    parted(url, CONTENT[:700], '"v1"')
    seen = []
    fetch(url, path, progress=lambda done, total: seen.append((done, total)))
    assert ranges(file_server) == ["bytes=700-"]
    assert path.read_bytes() == CONTENT
    assert seen


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(file_server, path, parted):
    url = file_server.put("a.tar", CONTENT, mark='"v2"')
    parted(url, OTHER[:700], '"v1"')
    fetch(url, path)
    assert path.read_bytes() == CONTENT


def test_a_change_that_the_server_does_not_tell_is_seen_by_the_checksum(file_server, path, parted):
    url = file_server.put("a.tar", CONTENT)
    parted(url, OTHER[:700])
    fetch(url, path)
    assert path.read_bytes() == CONTENT
    assert ranges(file_server) == ["bytes=700-", None]


def test_a_file_of_another_length_is_another_file(file_server, path, parted):
    url = file_server.put("a.tar", CONTENT)
    parted(url, CONTENT[:700], total=5000)
    fetch(url, path, sha256="")
    assert path.read_bytes() == CONTENT
    assert ranges(file_server) == ["bytes=700-", None]


def test_a_part_of_another_address_is_not_gone_on_with(file_server, path, parted):
    parted("http://elsewhere/a.tar", CONTENT[:700])
    fetch(file_server.put("a.tar", CONTENT), path)
    assert ranges(file_server) == [None]


def test_a_part_that_was_all_but_renamed_is_whole(file_server, path, parted):
    url = file_server.put("a.tar", CONTENT)
    parted(url, CONTENT)
    assert fetch(url, path) == SHA256
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(file_server, path):
    file_server.ranges = False
    file_server.breaks_after = [1000]
    fetch(file_server.put("a.tar", CONTENT), path)
    assert path.read_bytes() == CONTENT
    assert ranges(file_server) == [None, "bytes=1000-"]


def test_a_wrong_checksum_leaves_nothing_and_names_both(file_server, path):
    url = file_server.put("a.tar", OTHER)
    with pytest.raises(EnvironmentSetupError) as caught:
        fetch(url, path)
    assert SHA256 in str(caught.value)
    assert hashlib.sha256(OTHER).hexdigest() in str(caught.value)
    assert list(path.parent.iterdir()) == []


def test_a_missing_file_is_named_with_what_to_do(file_server, path):
    with pytest.raises(EnvironmentSetupError, match=r"404 .*--mirror URL.*--from FOLDER"):
        fetch(f"{file_server.url}/gone.tar", path)
    assert len(file_server.asked) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_wants_credentials_is_told_apart(file_server, path, status):
    url = file_server.put("a.tar", CONTENT)
    file_server.status["a.tar"] = [status]
    with pytest.raises(Forbidden, match="only to those it knows"):
        fetch(url, path)


def test_a_busy_server_is_asked_again_and_not_for_ever(file_server, path):
    url = file_server.put("a.tar", CONTENT)
    file_server.status["a.tar"] = [503, 503, 0]
    fetch(url, path)
    path.unlink()
    file_server.status["a.tar"] = [503] * 9
    with pytest.raises(EnvironmentSetupError, match=r"503 .*the same command goes on"):
        fetch(url, path)
    assert len(file_server.status["a.tar"]) == 6


def test_a_transfer_that_only_ever_breaks_ends_with_what_came(file_server, path):
    file_server.breaks_after = [100, 0, 0, 0]
    with pytest.raises(
        EnvironmentSetupError, match="the connection ended after 100 of 10240 bytes"
    ):
        fetch(file_server.put("a.tar", CONTENT), path)
    assert path.with_name("a.tar.part").read_bytes() == CONTENT[:100]


def test_nobody_there_is_an_environment_problem(path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(EnvironmentSetupError, match="Connection refused"):
        fetch(f"http://127.0.0.1:{port}/a.tar", path)


def test_a_full_disk_keeps_what_came_and_says_so(file_server, path, monkeypatch):
    url = file_server.put("a.tar", CONTENT)
    real = type(path).open

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, block):
            self.file.write(block[:512])
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        type(path),
        "open",
        lambda self, mode="r", **more: (
            Full(real(self, mode, **more)) if mode in ("ab", "wb") else real(self, mode, **more)
        ),
    )
    with pytest.raises(EnvironmentSetupError, match="no space left"):
        fetch(url, path)
    monkeypatch.undo()
    assert path.with_name("a.tar.part").stat().st_size == 512
    fetch(url, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://here/a.tar", "a.tar"])
def test_only_web_addresses_are_followed(url, path):
    with pytest.raises(UsageError, match="http:// or https://"):
        fetch(url, path)
