"""A store at a URI is fetched once per node, whole and verified or not at all."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from pyarrow import fs

from spkmodel.data import store_cache, store_manifest, store_publishing, store_uri
from spkmodel.data.store import Store, StoreError
from spkmodel.data.store_writing import write_store

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(tmp_path):
    rng = np.random.default_rng(1)
    utterances = [
        (f"wav/s{n}/0.wav", f"s{n}", "train", rng.integers(-900, 900, 4000, np.int16))
        for n in range(5)
    ]
    return write_store(tmp_path / "packed", utterances, {"sha256": "ab" * 32})


@pytest.fixture
def apart(tmp_path):
    folder = tmp_path / "apart"
    folder.mkdir()
    (folder / "test_trials.txt").write_text("1 wav/s0/0.wav wav/s0/0.wav\n")
    return folder


@pytest.fixture
def uri(store, apart, tmp_path):
    place = f"file://{tmp_path / 'bucket' / 'speech'}"
    store_publishing.publish_store(store.folder, store.sha256, place, evaluation_folder=apart)
    return place


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("SPKSEARCH_CACHE", str(folder))
    return folder


def hash_at(uri):
    return store_manifest.read_manifest(uri).sha256


def path_at(uri, name):
    return Path(uri.removeprefix("file://")) / name


def test_what_is_fetched_is_what_was_packed(uri, store):
    folder = store_cache.fetch_store(uri, hash_at(uri))
    copy = Store.open(folder)
    assert (copy.sha256, copy.ids) == (store.sha256, store.ids)
    for utterance in store.ids:
        np.testing.assert_array_equal(copy.waveform(utterance), store.waveform(utterance))


def test_a_second_training_of_the_node_maps_the_same_file(uri):
    first = store_cache.fetch_store(uri, hash_at(uri))
    sha256 = hash_at(uri)
    path_at(uri, "audio.i16").unlink()  # nothing more is read from there
    assert store_cache.fetch_store(uri, sha256) == first


def test_pairs_that_judge_are_published_and_never_fetched_by_a_training(uri, tmp_path):
    folder = store_cache.fetch_store(uri, hash_at(uri))
    assert path_at(uri, "test_trials.txt").exists()
    assert not list(folder.rglob("test_trials*"))
    store_cache.fetch_evaluation_files(uri, store_manifest.read_manifest(uri), tmp_path)
    assert (tmp_path / "test_trials.txt").read_text().startswith("1 ")


def test_a_full_disk_of_the_node_is_told_as_its_own_trouble_and_not_as_the_searchs(
    uri, cache, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sha256 = hash_at(uri)
    monkeypatch.setattr(store_cache, "_fetch_file", full)
    with pytest.raises(StoreError, match=f"{cache} on .*: No space left on device") as raised:
        store_cache.fetch_store(uri, sha256)
    # An error number anywhere in what Ray hands on would hold the whole search.
    assert "[Errno" not in "".join(traceback.format_exception(raised.value))
    assert not list(cache.glob(".*.tmp"))


def _fetch(uri, sha256, out):
    store_cache._fetch_files = _counted(store_cache._fetch_files, out)
    store_cache.fetch_store(uri, sha256)


def _counted(function, out):
    def counted(*arguments):
        with Path(out).open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        function(*arguments)

    return counted


def test_of_processes_that_start_at_once_one_fetches(uri, tmp_path):
    out, context = tmp_path / "fetches", get_context("fork")
    sha256 = hash_at(uri)
    starts = [context.Process(target=_fetch, args=(uri, sha256, out)) for _ in range(4)]
    for each in starts:
        each.start()
    for each in starts:
        each.join(20)
    assert [each.exitcode for each in starts] == [0] * 4
    assert len(out.read_text().split()) == 1


def test_a_fetch_that_is_killed_leaves_nothing_half_and_the_next_one_succeeds(uri, cache):
    sha256 = hash_at(uri)
    killed = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from spkmodel.data import store_cache\n"
            "fetch = store_cache._fetch_file\n"
            "def slow(*a):\n    fetch(*a); print('one', flush=True); time.sleep(60)\n"
            "store_cache._fetch_file = slow\n"
            "store_cache.fetch_store(*sys.argv[1:])",
            uri,
            sha256,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert killed.stdout.readline() == b"one\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert not (cache / sha256[:16]).exists()
    assert list(cache.glob(".*.tmp"))
    assert Store.open(store_cache.fetch_store(uri, sha256)).ids
    assert not list(cache.glob(".*.tmp"))


def test_a_damaged_file_is_refused_and_nothing_of_it_stays(uri, cache):
    sha256, audio = hash_at(uri), path_at(uri, "audio.i16")
    data = bytearray(audio.read_bytes())
    data[77] ^= 1
    audio.write_bytes(data)
    with pytest.raises(StoreError, match=r"audio\.i16.*damaged"):
        store_cache.fetch_store(uri, sha256)
    assert [path.name for path in cache.iterdir()] == [f".{sha256[:16]}.lock"]


@pytest.mark.parametrize("change", [b"more", b""])
def test_a_file_of_another_size_is_refused(uri, change):
    sha256, audio = hash_at(uri), path_at(uri, "audio.i16")
    audio.write_bytes(audio.read_bytes() + change if change else b"")
    with pytest.raises(StoreError, match="damaged"):
        store_cache.fetch_store(uri, sha256)


def test_another_store_than_the_search_recorded_is_refused(uri):
    with pytest.raises(StoreError, match="published anew"):
        store_cache.fetch_store(uri, "0" * 64)


def test_a_copy_that_lost_bytes_is_fetched_again(uri):
    folder = store_cache.fetch_store(uri, hash_at(uri))
    (folder / "audio.i16").write_bytes(b"")
    assert Store.open(store_cache.fetch_store(uri, hash_at(uri))).ids


def test_a_store_in_use_is_not_replaced_and_the_same_one_is_left(uri, store, apart):
    before = hash_at(uri)
    assert (
        store_publishing.publish_store(
            store.folder, store.sha256, uri, evaluation_folder=apart
        ).sha256
        == before
    )
    with pytest.raises(StoreError, match="another store is there"):
        store_publishing.publish_store(store.folder, "cd" * 32, uri, evaluation_folder=apart)


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", ".bashrc", "manifest.json"])
def test_a_manifest_cannot_name_a_file_outside_the_folder(uri, name):
    path = path_at(uri, "manifest.json")
    document = json.loads(path.read_text())
    document["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    path.write_text(json.dumps(document))
    with pytest.raises(StoreError, match="no file of a store"):
        store_manifest.read_manifest(uri)


def test_a_store_that_does_not_fit_is_refused_before_a_byte_is_fetched(uri, monkeypatch, cache):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(store_cache.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match="SPKSEARCH_CACHE"):
        store_cache.fetch_store(uri, hash_at(uri))
    assert not [path for path in cache.iterdir() if path.is_dir()]


@pytest.mark.parametrize("uri", ["nfs://server/export", "http://host/x"])
def test_a_scheme_that_nothing_reaches_is_refused_with_what_to_do(uri):
    with pytest.raises(StoreError, match="mounted and named by its path"):
        store_manifest.read_manifest(uri)


def test_where_nothing_was_published_the_command_is_told(tmp_path):
    with pytest.raises(StoreError, match="corpus pack DIR --to"):
        store_manifest.read_manifest(f"file://{tmp_path}/nothing")


def test_a_cache_in_tmp_that_others_can_write_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("SPKSEARCH_CACHE")
    monkeypatch.setattr(store_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = store_cache.cache_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(StoreError, match="others can write"):
        store_cache.cache_folder()


def test_a_file_system_without_paths_serves_as_well(store, monkeypatch):
    bucket = fs._MockFileSystem()
    monkeypatch.setattr(store_uri, "open_filesystem", lambda _: (bucket, "bucket/speech"))
    there = store_publishing.publish_store(store.folder, store.sha256, "s3://bucket/speech")
    assert Store.open(store_cache.fetch_store("s3://bucket/speech", there.sha256)).ids == store.ids


def test_an_actor_trains_from_a_uri_what_it_trains_from_the_path(tone_store, tmp_path):
    from spkmodel.config import TDNN, Batches, TrainConfig
    from spkmodel.worker.results import from_tune
    from spkmodel.worker.trainable import Segment, SegmentTrainable, segment_config

    config = TrainConfig(
        encoder=TDNN(channels=16, dilations=(2,), embedding_dim=16),
        batches=Batches(speakers=6, utterances=2, crop_seconds=0.5),
    )
    uri = f"file://{tmp_path}/there"
    there = store_publishing.publish_store(tone_store.folder, tone_store.sha256, uri)
    segment = Segment(
        trial="t0001", attempt=1, config=config.model_dump(mode="json"), to_epoch=1, resume="",
        resume_sha256="", warm_start="", warm_start_sha256="", folder=str(tmp_path / "one"),
        store=str(tone_store.folder), dev_store=str(tone_store.folder), noise="", rooms="",
        threads=1, device="cpu",
    )  # fmt: skip
    at_uri = replace(
        segment, folder=str(tmp_path / "two"), store=uri, dev_store=uri, store_sha256=there.sha256
    )
    path, fetched = (
        from_tune(SegmentTrainable(segment_config(each)).step()) for each in (segment, at_uri)
    )
    assert fetched.checkpoint.sha256 == path.checkpoint.sha256
    assert fetched.metrics["dev_eer"] == path.metrics["dev_eer"]
