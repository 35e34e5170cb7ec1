"""What a killed process left is found by its name, and nothing else is touched."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from spkmodel.core import temporary
from spkmodel.core.temporary import find_abandoned, remove_abandoned, temporary_beside
from tests.support.programs.dead_owner import abandoned_beside


def test_what_a_living_process_owns_is_left_alone(tmp_path):
    mine = temporary_beside(tmp_path / "store")
    mine.mkdir()
    assert list(find_abandoned(tmp_path)) == []
    assert remove_abandoned(tmp_path) == 0
    assert mine.is_dir()


def test_files_and_folders_of_a_dead_process_are_removed_with_their_size_told(tmp_path):
    folder, file = (abandoned_beside(tmp_path / name) for name in ("store", "list.txt"))
    folder.mkdir()
    (folder / "audio").write_bytes(b"x" * 1000)
    file.write_bytes(b"y" * 10)
    kept = [tmp_path / name for name in ("store", ".hidden", ".store.tmp", ".a.b.tmp")]
    for path in kept:
        path.write_text("mine")
    assert sorted(each.bytes for each in find_abandoned(tmp_path)) == [10, 1000]
    assert remove_abandoned(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_process_of_another_host_or_with_a_reused_number_is_told_apart(tmp_path, monkeypatch):
    mine = temporary_beside(tmp_path / "here")
    mine.mkdir()
    # Another process that got this one's number began at another time.
    monkeypatch.setattr(temporary, "process_start", lambda _: "boot-1")
    assert [each.path for each in find_abandoned(tmp_path)] == [mine]
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    temporary._host.cache_clear()
    try:
        assert list(find_abandoned(tmp_path)) == []
    finally:
        temporary._host.cache_clear()


def test_a_folder_that_is_not_there_has_nothing_abandoned(tmp_path):
    assert remove_abandoned(tmp_path / "never") == 0


def test_a_link_is_removed_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "data").mkdir()
    link = abandoned_beside(tmp_path / "store")
    link.symlink_to(tmp_path / "data")
    assert remove_abandoned(tmp_path) == 1
    assert (tmp_path / "data").is_dir()


@pytest.mark.slow
def test_a_killed_packing_is_tidied_up_by_the_next_one(tone_corpus, tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from spkmodel.data import corpus\n"
        "from spkmodel.data.store_writing import pack_corpus\n"
        "def slow(done, total):\n"
        "    if done > total // 2: print('half', flush=True); time.sleep(9)\n"
        "pack_corpus(corpus.open_corpus(Path(sys.argv[1])), Path(sys.argv[2]), progress=slow)"
    )
    packing = subprocess.Popen(
        [sys.executable, "-c", program, str(tone_corpus), str(tmp_path)],
        stdout=subprocess.PIPE, env=dict(os.environ), text=True,
    )  # fmt: skip
    assert packing.stdout is not None
    assert packing.stdout.readline() == "half\n"
    time.sleep(0.2)
    packing.send_signal(signal.SIGKILL)
    packing.wait()
    packing.stdout.close()
    left = [path for path in (tmp_path / "corpora").iterdir() if path.is_dir()]
    assert len(left) == 1
    from spkmodel.data import corpus
    from spkmodel.data.store_writing import pack_corpus

    folder = pack_corpus(corpus.open_corpus(tone_corpus), tmp_path)
    assert [path for path in (tmp_path / "corpora").iterdir() if path.is_dir()] == [folder]
