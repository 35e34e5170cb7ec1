"""A driver that finds checkpoints damaged, removes what is not kept, and waits for storage."""

import errno
import os
import shutil

import pytest

from search.checkpoints import storage_health
from search.checkpoints.external_references import ExternalReferences
from search.checkpoints.folders import forgotten, integrity_error, listed
from search.checkpoints.storage_health import Disk, StorageError
from search.ledger.ledger import Ledger
from search.requests import mailbox
from search.requests.messages import Budget
from spkmodel.worker.results import CheckpointUnusable
from tests.support.controller_rig import ManualClockRig
from tests.support.events import append, event_of


@pytest.fixture
def rig(tmp_path, monkeypatch):
    disk = {"now": Disk(10**12, read_only=False)}
    monkeypatch.setattr(storage_health, "disk", lambda _: disk["now"])
    made = ManualClockRig(tmp_path / "trip", trials=2)
    made.disk = disk
    yield made
    made.ledger.close()


def begun(rig, *epochs, trials=2):
    """Trials at the first rung, then the first of them on its way to the next."""
    for _ in range(trials):
        rig.report_epoch(rig.driver.next_segment()[0].trial)
    trial, _ = rig.driver.next_segment()
    rig.train(trial.trial, *epochs, attempt=trial.attempt)
    return trial.trial


# --- damaged ---------------------------------------------------------------------------------


def harm(place, how):
    if how == "missing":
        shutil.rmtree(place)
    elif how == "short":
        (place / "state.json").write_text("0")
    else:
        (place / "state.json").unlink()


@pytest.mark.parametrize("how", ["missing", "short", "empty"])
def test_a_driver_that_begins_passes_over_a_damaged_checkpoint_and_trains_again(rig, how):
    name = begun(rig, 2)
    harm(rig.checkpoint_folder(name, 2), how)
    rig = rig.restarted()
    (event,) = rig.events("damaged")
    assert (event.trial, event.epoch, event.from_epoch) == (name, 2, 1)
    trial, settings = rig.driver.next_segment()
    assert (trial.trial, trial.resume_point.epoch, settings["to_rung"]) == (name, 1, 3)
    rig.train(name, 2, 3, attempt=trial.attempt)
    assert (trial.state, trial.epoch, rig.state.repeated) == ("complete", 3, 0)
    rig.ledger.close()


def test_with_no_sound_checkpoint_left_a_trial_begins_again(rig):
    name = begun(rig, 2)
    for epoch in (1, 2):
        harm(rig.checkpoint_folder(name, epoch), "missing")
    rig = rig.restarted()
    assert [event.from_epoch for event in rig.events("damaged")] == [1, 0]
    trial, settings = rig.driver.next_segment()
    assert (trial.trial, trial.epoch, settings["to_rung"]) == (name, 0, 3)
    assert rig.events("segment")[-1].from_epoch == 0
    rig.ledger.close()


def test_before_a_trial_advances_its_checkpoint_is_looked_at(rig):
    for _ in range(2):
        rig.report_epoch(rig.driver.next_segment()[0].trial)
    harm(rig.checkpoint_folder("t0001", 1), "missing")
    harm(rig.checkpoint_folder("t0002", 1), "missing")
    trial, settings = rig.driver.next_segment()
    assert (trial.epoch, settings["to_rung"]) == (0, 1)
    assert len(rig.events("damaged")) == 1


def test_an_attempt_that_cannot_read_its_checkpoint_is_cut_without_blame(rig):
    name = begun(rig)
    trial = rig.state.trials[name]
    assert rig.driver.on_result(CheckpointUnusable(name, trial.attempt, "a byte was flipped"))
    assert (trial.crashes, trial.epoch, trial.last_interruption) == (0, 0, "storage")
    again, settings = rig.driver.next_segment()
    assert (again.trial, settings["to_rung"]) == (name, 3)
    assert rig.ledger.state() == rig.state


def test_a_best_epoch_that_is_gone_is_known_when_a_driver_begins_and_costs_no_other(rig):
    name = begun(rig, 2, 3)
    best = rig.state.trials[name].best()
    harm(rig.folder / best.checkpoint, "missing")
    rig = rig.restarted()
    (event,) = rig.events("damaged")
    assert (event.epoch, event.from_epoch) == (best.epoch, 3)
    assert rig.state.trials[name].epoch == 3
    rig.ledger.close()


def test_a_storage_that_is_gone_says_nothing_about_a_checkpoint(rig):
    name = begun(rig)
    report = rig.state.trials[name].last
    shutil.rmtree(rig.folder / "trials")
    (rig.folder / "ledger.jsonl").rename(rig.folder / "elsewhere")
    with pytest.raises(OSError, match="the storage is gone"):
        integrity_error(rig.folder, report)


# --- few -------------------------------------------------------------------------------------


def test_what_is_not_kept_is_written_down_and_then_removed(rig):
    rig.change(keep_checkpoints=1)
    name = begun(rig, 2)
    rig.report_epoch(name, attempt=rig.state.trials[name].attempt, epoch=3, dev_eer=0.1)
    rig.pass_time()
    (event,) = rig.events("removed")
    kept = [str(rig.checkpoint_folder(name, epoch).relative_to(rig.folder)) for epoch in (2, 3)]
    assert event.bytes == 10 * len(event.checkpoints)
    assert [place for place in rig.checkpoints_on_disk() if name in place] == kept
    assert rig.state.checkpoint_bytes == 10 * len(rig.checkpoints_on_disk())
    rig.pass_time()
    assert len(rig.events("removed")) == 1


def test_a_removal_that_a_dead_driver_only_wrote_down_is_carried_out_by_the_next(rig):
    name = begun(rig, 2)
    place = str(rig.checkpoint_folder(name, 1).relative_to(rig.folder))
    rig.driver._record(event_of("removed", trial=name, checkpoints=[place], bytes=10))
    rig = rig.restarted()
    assert place not in rig.checkpoints_on_disk()
    assert rig.events("damaged") == []
    rig.ledger.close()


def test_what_dead_writers_left_is_swept_and_what_somebody_else_put_there_is_not(rig):
    name = begun(rig, 2)
    folder = rig.folder / "trials" / name
    for left in (".epoch0003-attempt2.0a1b2c3d", "epoch0003-attempt2"):
        (folder / left).mkdir()
        (folder / left / "tensors.safetensors").write_text("half")
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("")
    recorded = set(listed(rig.folder)) - {f"trials/{name}/notes"}
    assert len(forgotten(rig.folder, rig.state, listed(rig.folder))) == 2
    rig = rig.restarted()
    left = {
        f"trials/{name}/{each}" for each in (".epoch0003-attempt2.0a1b2c3d", "epoch0003-attempt2")
    }
    assert set(rig.checkpoints_on_disk()) == recorded - left | {f"trials/{name}/notes"}
    rig.ledger.close()


def test_a_trial_whose_checkpoint_made_room_begins_again_when_its_turn_comes(rig):
    for _ in range(2):
        rig.report_epoch(rig.driver.next_segment()[0].trial)
    place = str(rig.checkpoint_folder("t0001", 1).relative_to(rig.folder))
    rig.driver._record(event_of("removed", trial="t0001", checkpoints=[place], bytes=10))
    assert rig.state.trials["t0001"].at(1) == 0.3
    trial, settings = rig.driver.next_segment()
    assert (trial.trial, trial.epoch, settings["to_rung"]) == ("t0001", 0, 1)


# --- room ------------------------------------------------------------------------------------


def test_a_nearly_full_disk_holds_the_search_until_there_is_room_again(rig):
    rig.report_epoch(rig.driver.next_segment()[0].trial)
    rig.disk["now"] = Disk(1000, read_only=False)
    rig.pass_time()
    assert "the disk is nearly full" in rig.state.holds["disk"]
    assert rig.driver.next_segment() == "wait"
    rig.disk["now"] = Disk(10**9, read_only=False)
    rig.pass_time()
    assert rig.state.holds == {}
    assert rig.driver.next_segment()[0].trial == "t0002"


def test_a_read_only_storage_holds_the_search(rig):
    rig.disk["now"] = Disk(10**12, read_only=True)
    rig.pass_time()
    assert rig.state.holds == {"storage": "the storage is read-only"}


@pytest.mark.parametrize(
    ("number", "cause"),
    [(errno.ENOSPC, "disk"), (errno.EDQUOT, "disk"), (errno.EROFS, "storage")],
)
def test_a_checkpoint_that_could_not_be_written_costs_no_retry_and_is_tried_again(
    rig, number, cause
):
    name = rig.driver.next_segment()[0].trial
    for attempt in range(1, 6):
        assert rig.refuse(name, attempt, number)
        assert os.strerror(number).lower() in rig.state.holds[cause]
        assert rig.driver.next_segment() == "wait"
        rig.pass_time(60)
        assert rig.state.holds == {}
        assert rig.driver.next_segment()[0].trial == name
    assert rig.report_epoch(name, attempt=6)
    assert (rig.state.trials[name].crashes, rig.state.trials[name].epoch) == (0, 1)


def test_a_storage_that_keeps_refusing_is_tried_ever_more_rarely(rig):
    name = rig.driver.next_segment()[0].trial
    waits = []
    for attempt in range(1, 7):
        rig.refuse(name, attempt, errno.EIO)
        began = rig.clock
        while rig.state.holds:
            rig.pass_time(2.0)
        waits.append(rig.clock - began)
        rig.driver.next_segment()
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (2.0, 60.0)


def test_a_crash_in_words_of_the_storage_is_none_of_the_trials(rig):
    name = rig.driver.next_segment()[0].trial
    rig.driver.on_attempt_finished(
        name, 1, "OSError: [Errno 28] No space left on device", "storage"
    )
    assert rig.state.trials[name].crashes == 0
    assert "no space left on device" in rig.state.holds["disk"]


def test_more_than_disk_gb_allows_holds_the_search_until_it_is_raised(rig):
    rig.change(disk_gb=25e-9)
    rig.report_epoch(rig.driver.next_segment()[0].trial)
    rig.driver.next_segment()
    rig.pass_time()
    assert "--disk-gb allows" in rig.state.holds["disk"]
    assert f"spksearch budget {rig.folder.name} --disk-gb" in rig.state.holds["disk"]
    rig.pass_time()
    assert "disk" in rig.state.holds
    mailbox.write(rig.folder, Budget(by="me", disk_gb=1.0))
    while mailbox.pending(rig.folder):
        rig.pass_time()
    rig.pass_time()
    assert rig.state.holds == {}


def test_a_search_that_ends_is_not_held_up_and_does_not_look_so(rig):
    rig.change(disk_gb=25e-9)
    rig.report_epoch(rig.driver.next_segment()[0].trial)
    rig.driver.next_segment()
    rig.driver.finish()
    assert rig.events("hold") == []
    assert rig.state.checkpoint_bytes > 0
    rig.driver.begin()
    rig.driver.hold("cluster", "no room", "me")
    rig.driver.finish()
    assert rig.state.holds == {}


def test_what_a_trial_of_another_search_starts_from_outlives_its_own_trial(rig):
    name = rig.driver.next_segment()[0].trial
    rig.report_epoch(name, dev_eer=0.4, sha256="b" * 64)
    rig.report_epoch(rig.driver.next_segment()[0].trial, dev_eer=0.5)
    start = {"weights": f"{rig.folder.name}/{name}", "checkpoint": "", "sha256": "b" * 64}
    with Ledger.open(rig.folder.parent / "other" / "ledger.jsonl", write=True) as other:
        append(other, "trial", trial="t0001", warm_start=start)
    rig.driver.next_segment()
    rig.train(name, 2, 3, attempt=2)
    rig.driver.finish()
    kept = [rig.checkpoint_folder(name, epoch) for epoch in (1, 2, 3)]
    assert all(place.is_dir() for place in kept)
    rig.driver.begin()
    shutil.rmtree(rig.folder.parent / "other")
    rig.driver.finish()
    rig.checkpoints_on_disk()
    assert [place.is_dir() for place in kept] == [False, True, True]


def test_nothing_is_removed_while_it_is_not_known_what_other_searches_start_from(rig, monkeypatch):
    name = rig.driver.next_segment()[0].trial
    rig.report_epoch(name, dev_eer=0.4)
    rig.report_epoch(rig.driver.next_segment()[0].trial, dev_eer=0.5)
    rig.driver.next_segment()
    rig.train(name, 2, 3, attempt=2)
    first = rig.checkpoint_folder(name, 1)
    monkeypatch.setattr(ExternalReferences, "read_new", lambda _: False)
    rig.pass_time()
    rig.driver.finish()
    assert rig.events("removed") == []
    rig.pass_time(500)
    assert rig.events("removed") == []
    rig.pass_time(600)
    (event,) = rig.events("removed")
    assert event.checkpoints == (str(first.relative_to(rig.folder)),)
    assert name == event.trial


def test_what_a_driver_left_that_was_killed_while_it_tried_the_storage_goes(rig):
    left = rig.folder / ".probe-1234"
    left.write_bytes(b"0" * 100)
    rig.driver.begin()
    assert not left.exists()


def test_a_probe_writes_for_real_and_leaves_nothing(tmp_path, monkeypatch):
    assert storage_health.probe(tmp_path, 10_000) is None
    assert list(tmp_path.iterdir()) == []

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert storage_health.probe(tmp_path, 1) == StorageError(
        "disk", f"{tmp_path}: no space left on device"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_words_of_an_error_tell_whether_it_was_the_storage():
    assert (
        storage_health.error_number("OSError: [Errno 30] Read-only file system: 'x'") == errno.EROFS
    )
    assert storage_health.error_number("I/O error: No space left (os error 28)") == errno.ENOSPC
    assert storage_health.error_number("FileNotFoundError: [Errno 2] No such file") == 0
    assert storage_health.error_number("RuntimeError: shape [28]") == 0
