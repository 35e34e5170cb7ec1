"""Checkpoints in the middle of an epoch: what becomes of them in state, retention and driver."""

import pytest

from search.checkpoints import retention
from search.checkpoints.folders import forgotten, listed
from search.ledger.state import SearchState
from spkmodel.worker.results import PartialReport, SavedCheckpoint
from tests.support.controller_rig import ControllerRig, ManualClockRig
from tests.support.events import append
from tests.support.scripted_search import ScriptedSearch


def part(tale, trial, epoch, steps, attempt=None, size=500):
    record = tale.state.trials[trial]
    attempt = attempt or record.attempt
    tale.record(
        "partial",
        trial=trial,
        attempt=attempt,
        epoch=epoch,
        steps=steps,
        of=10,
        seconds=0.1 * steps,
        checkpoint=f"trials/{trial}/e{epoch}-s{steps}-{attempt}",
        sha256=f"{trial[1:]}{epoch:030d}{steps:030d}",
        bytes=size,
    )


def removed(tale):
    """Carry the plan out; what it removed."""
    found = []
    for removal in retention.plan(tale.state).removals:
        names = list(removal.checkpoints)
        tale.record("removed", trial=removal.trial, checkpoints=names, bytes=removal.bytes)
        found += names
    return found


@pytest.fixture
def tale():
    made = ScriptedSearch()
    made.record("search", keep_checkpoints=1)
    made.segment(made.trial(), 3)
    made.report("t0001", 1, 0.4)
    return made


def test_a_trial_goes_on_from_the_middle_of_an_epoch_until_that_is_reported(tale):
    trial = tale.state.trials["t0001"]
    part(tale, "t0001", 2, 4)
    tale.crash("t0001", "interrupted", counts=False, kind="stopped")
    assert (trial.state, trial.epoch, trial.resume_point.steps) == ("paused", 1, 4)
    assert trial.resume_point.next_epoch == trial.reports[1].next_epoch == 2
    tale.segment("t0001", 3)
    assert trial.resume_point.steps == 4
    tale.report("t0001", 2, 0.3)
    assert (trial.resume_point, trial.partial) == (trial.reports[2], None)
    assert SearchState.from_events(tale.events) == tale.state


def test_of_several_parts_the_newest_counts_and_is_the_only_one_that_is_kept(tale):
    for steps in (2, 5):
        part(tale, "t0001", 2, steps)
        tale.crash("t0001", "interrupted", counts=False)
        tale.segment("t0001", 3)
    trial = tale.state.trials["t0001"]
    assert trial.resume_point.steps == 5
    assert tale.state.checkpoint_bytes == 1000 + 500 + 500
    assert removed(tale) == ["trials/t0001/e2-s2-1"]
    assert tale.state.checkpoint_bytes == 1000 + 500
    tale.report("t0001", 2, 0.3)
    assert removed(tale) == ["trials/t0001/e2-s5-2"]
    assert tale.state.checkpoint_bytes == 1000 + 1000
    assert (trial.past_partials, removed(tale)) == ((), [])


@pytest.mark.parametrize(("state", "by"), [("killed", "user"), ("failed", "failure")])
def test_what_has_ended_for_good_keeps_no_part_and_takes_none(tale, state, by):
    part(tale, "t0001", 2, 4)
    tale.crash("t0001", "interrupted", counts=False)
    tale.end("t0001", state, by=by)
    assert "trials/t0001/e2-s4-1" in removed(tale)
    assert tale.state.trials["t0001"].partial is None
    part(tale, "t0001", 2, 5)
    assert (tale.state.trials["t0001"].partial, tale.state.refused) == (None, 1)


def test_what_a_budget_ended_keeps_its_part_for_an_extension(tale):
    part(tale, "t0001", 2, 4)
    tale.crash("t0001", "interrupted", counts=False)
    tale.end("t0001", "stopped", by="budget")
    assert removed(tale) == []
    tale.segment("t0001", 9)
    assert tale.state.trials["t0001"].resume_point.steps == 4


def test_a_part_is_taken_of_the_last_attempt_even_once_cut_and_of_no_older_one(tale):
    trial = tale.state.trials["t0001"]
    tale.crash("t0001", "interrupted", counts=False)
    part(tale, "t0001", 2, 3)
    assert trial.partial.steps == 3
    tale.segment("t0001", 3)
    part(tale, "t0001", 2, 9, attempt=1)
    part(tale, "t0001", 3, 1)
    part(tale, "t0001", 1, 1)
    assert (trial.partial.steps, tale.state.refused) == (3, 3)


def test_damage_of_a_part_costs_the_part_and_damage_before_it_nothing(tale):
    trial = tale.state.trials["t0001"]
    part(tale, "t0001", 2, 4)
    tale.crash("t0001", "interrupted", counts=False)
    where = {"trial": "t0001", "reason": "a byte was flipped"}
    first, later = trial.reports[1].checkpoint, trial.partial.checkpoint
    tale.record("damaged", **where, epoch=1, checkpoint=first, from_epoch=1)
    assert (trial.epoch, trial.resume_point.steps) == (1, 4)
    tale.record("damaged", **where, epoch=2, checkpoint=later, from_epoch=1)
    assert (trial.partial, trial.epoch, trial.resume_point) == (None, 1, None)
    assert later in removed(tale)
    tale.segment("t0001", 3)
    part(tale, "t0001", 2, 1)
    tale.record("damaged", **where, epoch=1, checkpoint=first, from_epoch=0)
    assert (trial.partial, trial.epoch) == (None, 0)


def test_above_the_bound_a_part_goes_like_any_other_checkpoint(tale):
    part(tale, "t0001", 2, 4)
    tale.crash("t0001", "interrupted", counts=False)
    tale.train(tale.trial(), 3, 0.1)
    tale.record("search", disk_gb=1e-9)
    names = [
        name for removal in retention.plan(tale.state).removals for name in removal.checkpoints
    ]
    assert "trials/t0001/e2-s4-1" in names


# --- the driver ------------------------------------------------------------------------------


def leave(rig, trial, epoch=1, attempt=1, steps=4, seconds=2.0, is_last=True):
    place = rig.folder / "trials" / trial / f"e{epoch}-s{steps}-{attempt}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "state.json").write_text("01234")
    saved = SavedCheckpoint(str(place), "ab", 5)
    result = PartialReport(trial, attempt, epoch, steps, 10, seconds, saved, is_last)
    return rig.driver.on_result(result)


@pytest.fixture
def rig(tmp_path):
    made = ControllerRig(tmp_path / "trip")
    yield made
    made.ledger.close()


def test_an_epoch_has_taken_what_all_its_parts_took(rig):
    rig.driver.next_segment()
    rig.driver.leave("interrupted by SIGTERM")
    assert leave(rig, "t0001")
    trial = rig.state.trials["t0001"]
    assert (trial.state, trial.reason) == ("paused", "interrupted by SIGTERM")
    assert (trial.last_interruption, trial.crashes) == ("stopped", 0)
    rig.ledger.close()
    again = ControllerRig(rig.folder)
    again.driver.next_segment()
    assert leave(again, "t0001", attempt=2, steps=7, seconds=3.0)
    again.driver.next_segment()
    again.report_epoch("t0001", attempt=3)
    segments = [event for event in again.ledger.events() if event.event == "segment"]
    assert [event.from_step for event in segments] == [0, 4, 7]
    assert again.state.trials["t0001"].reports[1].seconds == 2.0 + 3.0 + 1.0
    assert again.ledger.state() == again.state
    again.ledger.close()


def test_a_result_that_was_under_way_when_all_were_told_to_leave_counts(rig):
    rig.state.apply(append(rig.ledger, "search", rungs=[3], eta=3, rule="promotion", trials=2))
    rig.driver._policy = rig.driver._policy.from_settings(rig.state.search)
    rig.driver.next_segment()
    rig.driver.leave("interrupted by SIGTERM")
    assert rig.report_epoch("t0001"), "its segment ends between two epochs"
    trial = rig.state.trials["t0001"]
    assert (trial.epoch, trial.state, trial.reason) == (1, "paused", "interrupted by SIGTERM")


def test_a_checkpoint_that_comes_after_the_cut_is_taken_and_one_of_an_older_attempt_is_not(rig):
    rig.driver.next_segment()
    rig.driver.leave("interrupted by SIGINT")
    rig.driver.interrupt("interrupted by SIGINT")
    assert leave(rig, "t0001")
    assert rig.state.trials["t0001"].partial.steps == 4
    assert leave(rig, "t0001", attempt=0, steps=9)
    assert rig.state.trials["t0001"].partial.steps == 4
    interruptions = [event for event in rig.ledger.events() if event.event == "crash"]
    assert len(interruptions) == 1
    assert (rig.ledger.state(), rig.state.refused) == (rig.state, 0)


def test_a_part_that_is_no_end_leaves_the_attempt_at_work(rig):
    rig.driver.next_segment()
    assert not leave(rig, "t0001", is_last=False)
    assert rig.state.trials["t0001"].live
    assert leave(rig, "t0001", steps=6)
    assert rig.state.trials["t0001"].reason == "stopped in the middle of an epoch"


def test_a_part_that_is_missing_is_damage_and_what_no_word_came_of_is_swept(tmp_path):
    rig = ManualClockRig(tmp_path / "trip", trials=1)
    rig.driver.next_segment()
    rig.report_epoch("t0001")
    trial, _ = rig.driver.next_segment()
    assert (trial.trial, trial.attempt) == ("t0001", 2)
    leave(rig, "t0001", epoch=2, attempt=2)
    unknown = rig.folder / "trials" / "t0001" / "e2-s9-2"
    unknown.mkdir()
    (unknown / "state.json").write_text("0")
    assert forgotten(rig.folder, rig.state, listed(rig.folder)) == {"trials/t0001/e2-s9-2"}
    (rig.folder / trial.partial.checkpoint / "state.json").write_text("of another size")
    after = rig.restarted()
    (event,) = after.events("damaged")
    assert (event.epoch, event.from_epoch) == (2, 1)
    assert event.checkpoint == "trials/t0001/e2-s4-2"
    assert after.state.trials["t0001"].resume_point.epoch == 1
    assert sorted(after.state.trials["t0001"].reports) == [1]
    after.driver.next_segment()
    after.driver._record_steps(after.driver._checkpoints.prune())
    assert after.checkpoints_on_disk() == ["trials/t0001/e1-1"]
    after.ledger.close()


def test_without_the_checkpoint_of_the_last_epoch_a_part_of_the_next_will_do(tmp_path):
    rig = ManualClockRig(tmp_path / "trip", trials=1)
    rig.driver.next_segment()
    rig.report_epoch("t0001")
    rig.driver.next_segment()
    leave(rig, "t0001", epoch=2, attempt=2)
    (rig.checkpoint_folder("t0001", 1) / "state.json").unlink()
    after = rig.restarted()
    assert [event.from_epoch for event in after.events("damaged")] == [1]
    trial, _ = after.driver.next_segment()
    assert (trial.epoch, trial.resume_point.steps, trial.attempt) == (1, 4, 3)
    after.ledger.close()
