"""A file that somebody else gives is looked at before it is read."""

import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from spkmodel.core import foreign_file
from spkmodel.core.foreign_file import ForeignFileError

MALFORMED = {
    "list": (b"[1]", "holds a JSON list where an object {...} is wanted"),
    "number": (b"1", "holds a JSON int"),
    "null": (b"null", "holds a JSON NoneType"),
    "nested": (b'{"a":' + b"[" * 200_000, "is nested too deeply"),
    "nested_whole": (b'{"a":' + b"[" * 60 + b"]" * 60 + b"}", "at most 50 levels"),
    "nul": (b'{"a":\n"\0"}', "line 2 has a NUL byte"),
    "invalid_utf8": (b'{"a": "\xff"}', "line 1 is not UTF-8"),
    "huge_int": (b'{"a": ' + b"9" * 5000 + b"}", "not JSON: "),
    "nan": (b'{"a": NaN}', "NaN is not a number of JSON"),
    "overflow": (b'{"a": 1e999}', "1e999 is larger than any number"),
    "double_key": (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
    "empty": (b"", "is empty"),
    "cut": (b'{"a": ', "not JSON: "),
}
"""By kind: what somebody may put into a file that should hold a JSON object, and what is said."""


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_document_is_a_fault_of_its_file(kind: str, tmp_path: Path) -> None:
    content, said = MALFORMED[kind]
    path = tmp_path / "document.json"
    path.write_bytes(content)
    with pytest.raises(ForeignFileError) as refused:
        foreign_file.read_json_object(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert len(str(refused.value)) < len(str(path)) + 400


def test_a_document_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": [1, {"b": 2.5}]}')
    assert foreign_file.read_json_object(tmp_path / "a.json") == {"a": [1, {"b": 2.5}]}


def test_a_link_to_a_device_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "list.txt"
    link.symlink_to("/dev/zero")
    with pytest.raises(ForeignFileError, match="is a device, not a regular file"):
        foreign_file.read_bytes(link, 10)


def test_a_pipe_that_nobody_writes_into_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(ForeignFileError, match="is a pipe"):
        foreign_file.read_bytes(tmp_path / "list.txt", 10)


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    regular = (tmp_path / "file").stat()
    monkeypatch.setattr(Path, "stat", lambda _self: regular)
    with pytest.raises(ForeignFileError, match="is a pipe"):
        foreign_file.read_bytes(tmp_path / "pipe", 10)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's address is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("list.txt")
        with pytest.raises(ForeignFileError, match="is a socket"):
            foreign_file.read_bytes(Path("list.txt"), 10)


def test_a_file_is_read_up_to_its_limit_and_refused_beyond(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"x" * 10)
    assert foreign_file.read_bytes(path, 10) == b"x" * 10
    with pytest.raises(ForeignFileError, match="has 10 bytes; at most 9 are read"):
        foreign_file.read_bytes(path, 9)


def test_a_sparse_file_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "list.txt").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ForeignFileError, match="at most"):
        foreign_file.read_bytes(tmp_path / "list.txt", foreign_file.MOST_LIST_BYTES)


def test_a_missing_file_stays_missing_and_a_folder_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        foreign_file.read_bytes(tmp_path / "none", 10)
    with pytest.raises(IsADirectoryError):
        foreign_file.read_bytes(tmp_path, 10)


def test_a_long_text_keeps_its_ends() -> None:
    assert foreign_file.shorten("a" * 100 + "z" * 100, 10) == "aaaaaa…zzz"
    assert foreign_file.shorten("short", 10) == "short"
    assert len(foreign_file.shorten("x" * 10_000_000)) == foreign_file.MOST_SHOWN


def test_a_small_file_takes_little_memory_whatever_the_limit(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"small")
    tracemalloc.start()
    try:
        assert foreign_file.read_bytes(tmp_path / "a.txt", 1 << 31) == b"small"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
