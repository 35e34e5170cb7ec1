"""`doctor` names what killed processes left, and removes it when told to."""

import pytest

from search.cluster.connection import session_folder
from search.doctor import leftovers
from spkmodel.data.corpus import open_corpus
from spkmodel.data.store_writing import pack_corpus
from tests.support.corpora.small_corpus import make_small_corpus
from tests.support.programs.dead_owner import abandoned_beside


@pytest.fixture
def places(spksearch_home, tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "ray"))
    for folder in (spksearch_home / "corpora", tmp_path / "cache" / "sounds", tmp_path / "ray"):
        folder.mkdir(parents=True)
    return spksearch_home


@pytest.mark.usefixtures("places")
def test_nothing_left_is_ok():
    (check,) = leftovers.check_leftovers()
    assert check.level == "ok"


def test_packs_and_sessions_of_dead_processes_are_named_and_removed(places, tmp_path):
    left = [
        abandoned_beside(places / "corpora" / "0123"),
        abandoned_beside(places / "night" / "driver.json"),
        abandoned_beside(tmp_path / "cache" / "sounds" / "room-1"),
        # Numbers of processes end below this one.
        session_folder() / "session_2026-12-01_10-57-25_829477_99999999",
    ]
    for path in left:
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"x" * 1000)
    (check,) = leftovers.check_leftovers()
    assert (check.level, "--clean" in check.todo) == ("note", True)
    assert check.found.startswith("4 without a living owner, 0.0 MB")
    assert sorted(each.path for each in leftovers.clean()) == sorted(left)
    assert not any(path.exists() for path in left)
    assert leftovers.check_leftovers()[0].level == "ok"


def test_an_unfinished_store_is_named_as_one_that_can_go_on_and_is_removed(places, tmp_path):
    folder = make_small_corpus(tmp_path / "corpus")

    def interrupt(done, _):
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_corpus(open_corpus(folder), places, progress=interrupt)
    (check,) = leftovers.check_leftovers()
    assert "unfinished: packing the same corpus goes on there" in check.found
    (removed,) = leftovers.clean()
    assert removed.path.name.startswith(".packing-")
    assert list((places / "corpora").iterdir()) == []
