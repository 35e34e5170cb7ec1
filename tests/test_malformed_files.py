"""Whatever stands in a file that somebody else gives, the message blames the file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from search.cli.error_handling import format_message
from search.cluster.files.check import check_file
from search.data.public import corpus_folder
from search.importers.voxceleb_trainer.yaml_file import read_yaml
from search.ledger.ledger import Ledger
from search.models import loader
from search.requests.mailbox import Pending
from spaces.logged import open_notebook
from spkmodel.core import checkpoint
from spkmodel.data.lists import read_pairs, read_train_list
from spkmodel.data.store import ABOUT_FILE, Store
from spkmodel.data.store_manifest import parse_manifest

CONTENTS = {
    "empty": b"",
    "list": b"[1, 2]\n",
    "word": b"word\n",
    "nested_lists": b"[" * 100_000,
    "nested_whole": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}\n",
    "nested_toml": b"a = " + b"[" * 5000 + b"]" * 5000 + b"\n",
    "nested_yaml": b"a: " + b"[" * 5000 + b"]" * 5000 + b"\n",
    "nul": b'{"a": "\0"}\n',
    "invalid_utf8": b'{"a": "\xff\xfe"}\n',
    "huge_int": b'{"event": ' + b"9" * 5000 + b"}\n",
    "huge_number": b"a: " + b"9" * 5000 + b"\n",
    "nan": b'{"event": NaN}\n',
    "double_key": b'{"a": 1, "a": 2}\n',
    "long_line": b"x" * 1_000_000 + b"\n",
}


def _checkpoint(path: Path) -> None:
    checkpoint.write(path.parent / "c", {}, {})
    (path.parent / "c" / checkpoint.STATE).write_bytes(path.read_bytes())
    checkpoint.read(path.parent / "c")


def _promoted(path: Path) -> None:
    (path.parent / loader.WEIGHTS).write_bytes(b"")
    path.rename(path.parent / loader.CONFIG)
    loader.read_promoted(path.parent, "cpu")


def _store(path: Path) -> None:
    path.rename(path.parent / ABOUT_FILE)
    Store.open(path.parent)


def _fetched(path: Path) -> None:
    path.rename(path.parent / corpus_folder.MARK)
    corpus_folder.read_mark(path.parent)


def _ledger(path: Path) -> None:
    list(Ledger.open(path).events())


READERS: tuple[Callable[[Path], object], ...] = (
    _checkpoint,
    _promoted,
    _store,
    _fetched,
    lambda path: parse_manifest(path.read_bytes(), str(path)),
    _ledger,
    lambda path: Pending(path).read(),
    open_notebook,
    lambda path: read_yaml(path, []),
    read_train_list,
    read_pairs,
    lambda path: json.dumps(str(check_file(path))),
)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", CONTENTS)
def test_malformed_contents_are_never_a_failure_of_ours(
    reader: Callable[[Path], object], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "given.yaml"
    path.write_bytes(CONTENTS[kind])
    message = ""
    try:
        reader(path)
    except Exception as error:  # noqa: BLE001 (its message is what is tested)
        message = format_message(error)
    assert "failure of spksearch" not in message
    assert len(message) < 2000, message[:300]
