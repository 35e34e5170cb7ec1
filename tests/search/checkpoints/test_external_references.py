"""Whose weights the other searches of a home start from, read from their ledgers."""

import errno
import os

import pytest

from search.checkpoints import external_references
from search.checkpoints.external_references import ExternalReferences
from tests.support.events import event_of

START = {"weights": "mine/t0001", "checkpoint": "/home/mine/x", "sha256": "a" * 64}


@pytest.fixture
def mine(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "ledger.jsonl").write_text(_line("trial", trial="t0001", warm_start=START))
    return folder


def _line(event, **fields):
    return event_of(event, time="2026-01-01", search="x", **fields).to_line() + "\n"


def _write(mine, name, *lines, end=""):
    folder = mine.parent / name
    folder.mkdir(exist_ok=True)
    with (folder / "ledger.jsonl").open("a") as file:
        file.write("".join(lines) + end)
    return folder


def _looked(near):
    near.read_new()
    return near.hashes, near.trials


def test_what_a_trial_of_another_search_started_from_is_named_and_its_own_is_not(mine):
    _write(
        mine,
        "other",
        _line("trial", trial="t0001", warm_start=None),
        _line("trial", trial="t0002", warm_start=START | {"sha256": "b" * 64}),
    )
    assert _looked(ExternalReferences(mine)) == ({"b" * 64}, set())


def test_what_waits_in_another_queue_is_named_until_it_is_begun_or_withdrawn(mine):
    near = ExternalReferences(mine)
    first = {"warm_start": {"weights": "mine/t0003", "sha256": ""}}
    second = {"warm_start": {"weights": "mine/t0004", "sha256": ""}}
    third = {"warm_start": {"weights": "third/t0005", "sha256": ""}}
    wishes = [_line("queued", key=f"k{n}", config=c) for n, c in enumerate((first, second, third))]
    _write(mine, "other", *wishes)
    assert _looked(near) == (set(), {"t0003", "t0004"})
    _write(mine, "other", _line("trial", trial="t0001", wish="k0", warm_start=START))
    assert _looked(near) == ({"a" * 64}, {"t0004"})
    _write(mine, "other", _line("withdrawn", key="k1", reason="no such trial"))
    assert _looked(near) == ({"a" * 64}, set())


def test_only_what_has_come_since_is_read_and_a_line_under_way_is_read_when_it_is_whole(
    mine, monkeypatch
):
    near, line = ExternalReferences(mine), _line("trial", trial="t0001", warm_start=START)
    second = line.replace("a" * 64, "b" * 64)
    _write(mine, "other", line, end=second[:-9])
    assert _looked(near)[0] == {"a" * 64}
    _write(mine, "other", second[-9:])
    read = []
    take = external_references._take
    monkeypatch.setattr(
        external_references, "_take", lambda *words: (read.append(words[1]), take(*words))
    )
    assert _looked(near)[0] == {"a" * 64, "b" * 64}
    assert len(read) == 1
    assert _looked(near)[0] == {"a" * 64, "b" * 64}
    assert len(read) == 1


def test_a_search_that_is_removed_or_begun_anew_needs_nothing_any_more(mine):
    near = ExternalReferences(mine)
    folder = _write(mine, "other", _line("trial", trial="t0001", warm_start=START))
    assert _looked(near)[0] == {"a" * 64}
    (folder / "ledger.jsonl").rename(folder / "away")
    assert _looked(near)[0] == set()
    _write(mine, "other", _line("trial", trial="t0001", warm_start=None))
    assert _looked(near)[0] == set()


def test_a_ledger_that_is_damaged_or_cannot_be_read_hurts_nobody_else(mine):
    line = _line("trial", trial="t0001", warm_start=START)
    _write(mine, "damaged", '"warm_start": {\n', "[]\n", '["warm_start": {]\n', line)
    (mine.parent / "strange" / "ledger.jsonl").mkdir(parents=True)
    assert _looked(ExternalReferences(mine))[0] == {"a" * 64}


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_while_the_storage_is_away_what_was_read_stands(mine, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    near = ExternalReferences(mine)
    _write(mine, "other", _line("trial", trial="t0001", warm_start=START))
    assert near.read_new()
    for name in ("listdir", "stat"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refuse)
            assert not near.read_new()
        assert near.hashes == {"a" * 64}
    assert near.read_new()


def test_a_home_that_is_not_mounted_is_not_one_without_searches(mine):
    near = ExternalReferences(mine)
    _write(mine, "other", _line("trial", trial="t0001", warm_start=START))
    assert near.read_new()
    home = mine.parent.rename(mine.parent.with_name("elsewhere"))
    assert not near.read_new()
    mine.parent.mkdir()
    assert not near.read_new()
    assert near.hashes == {"a" * 64}
    mine.parent.rmdir()
    home.rename(mine.parent)
    assert near.read_new()
    assert near.hashes == {"a" * 64}
