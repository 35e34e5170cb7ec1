"""Folders are removed on a thread that does not outlive its work."""

import threading
import time

from search.checkpoints.folders import Remover


def removers():
    return [thread for thread in threading.enumerate() if thread.name == "remover"]


def test_queued_folders_are_removed_in_the_background_and_the_thread_ends(tmp_path):
    places = [f"c{number}" for number in range(20)]
    for place in places:
        (tmp_path / place).mkdir()
        (tmp_path / place / "tensors").write_bytes(b"x")
    remover = Remover(tmp_path)
    remover.remove(places[:10])
    assert remover.drain(10)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(places[10:])
    remover.remove([*places[10:], "never-there"])
    assert remover.drain(10)
    assert list(tmp_path.iterdir()) == []
    ends = time.monotonic() + 5
    while removers() and time.monotonic() < ends:
        time.sleep(0.01)
    assert removers() == []


def test_nothing_to_remove_starts_no_thread(tmp_path):
    remover = Remover(tmp_path)
    remover.remove([])
    assert remover.drain(0)
    assert removers() == []
