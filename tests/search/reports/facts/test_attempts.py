"""Attempts on slots: when each began and ended, and where."""

import pytest

from search.reports.facts.attempts import read_timeline
from tests.support.scripted_search import ScriptedSearch


@pytest.fixture
def tale():
    return ScriptedSearch(trials=3)


def read(tale, is_running=False):
    return read_timeline(tale.events, is_running=is_running)


def test_an_attempt_lasts_from_its_segment_to_the_report_of_its_rung(tale):
    # One second an event: driver at 0, trial at 1, segment at 2, reports at 3 and 4.
    tale.segment(tale.trial(), 2)
    tale.report("t0001", 1, 0.3)
    tale.report("t0001", 2, 0.2)
    (attempt,) = read(tale).attempts
    assert (attempt.began, attempt.ended, attempt.ending) == (2.0, 4.0, "reached")
    assert read(tale).busy_share() == pytest.approx(0.5)


def test_attempts_at_once_lie_on_slots_of_their_own_and_later_ones_on_free_slots(tale):
    for trial in (tale.trial(), tale.trial()):
        tale.segment(trial, 1)
    tale.report("t0001", 1, 0.3)
    tale.report("t0002", 1, 0.3)
    tale.segment(tale.trial(), 1)
    tale.report("t0003", 1, 0.3)
    assert {each.trial: each.slot for each in read(tale).attempts} == {
        "t0001": 0, "t0002": 1, "t0003": 0,
    }  # fmt: skip


def test_the_time_between_two_drivers_is_no_work(tale):
    from datetime import timedelta

    tale.segment(tale.trial(), 3)
    tale.report("t0001", 1, 0.3)
    tale.now += timedelta(days=7)
    tale.record("driver", host="here", pid=2, started="0-2")
    found = read(tale)
    assert found.seconds == 3.0
    assert found.drivers == (3.0,)
    (attempt,) = found.attempts
    assert (attempt.ended, attempt.ending, attempt.kind) == (3.0, "interrupted", "driver")


def test_a_crash_cuts_an_attempt_short_and_names_its_kind(tale):
    tale.segment(tale.trial(), 1)
    tale.crash("t0001", kind="out_of_memory")
    (attempt,) = read(tale).attempts
    assert (attempt.ending, attempt.kind) == ("interrupted", "out_of_memory")


@pytest.mark.parametrize(("is_running", "ending"), [(True, "running"), (False, "interrupted")])
def test_an_attempt_without_an_end_goes_on_if_the_search_does(tale, is_running, ending):
    tale.segment(tale.trial(), 1)
    (attempt,) = read(tale, is_running).attempts
    assert attempt.ending == ending
