"""A simulated search is a real one to all but Ray, and its figures are of what happened."""

import logging
import time

import pytest

from bench import scale, scale_page
from bench.support import stack_sampler
from bench.support.simulated_cluster import Simulation
from search.ledger.ledger import Ledger
from search.scheduler.audit import find_wrong_decisions


@pytest.fixture(scope="module")
def found():
    logging.disable(logging.WARNING)
    yield {"command": "x"} | scale.measured(60, 20, 3, catch_up=0)
    logging.disable(logging.NOTSET)


def test_a_simulated_search_ends_with_every_trial_accounted_for_and_every_decision_right(tmp_path):
    search = Simulation(tmp_path / "one", 40, 10, 9, seed=2)
    search.run()
    search.close()
    events = list(Ledger.open(tmp_path / "one" / "ledger.jsonl").events())
    assert find_wrong_decisions(events) == []
    states = {trial.state for trial in search.state.trials.values()}
    assert len(search.state.trials) == 40
    assert states <= {"complete", "stopped", "failed"}
    assert {event.event for event in events} >= {"segment", "report", "end", "finish"}
    assert search.measured.simulated > 9 * 30


def test_the_figures_count_what_happened(found):
    assert found["trials"] == 60
    assert found["reports"] >= 50
    assert found["ledger"]["goes_on_the_same"]
    assert sum(found["driver"]["shares"].values()) == pytest.approx(1, abs=0.01)
    assert found["suggest_ms"][-1]["trials"] == [54, 60]
    assert (
        found["driver"]["reports_a_second"] * found["driver"]["seconds"] >= found["reports"] * 0.8
    )


def test_the_narrowest_part_is_named_as_the_next_limit(found):
    tracker = {"events_a_second": found["events"] / found["reports"] / 10}
    driver = found["driver"] | {"reports_a_second": 50.0}
    words = " ".join(scale_page.limits(found | {"tracker": tracker, "driver": driver}, None))
    assert "MLflow and what feeds it can take 0 a second, that is 6 slots" in words
    assert "So MLflow and what feeds it does not keep up with 20 slots." in words
    tracker = {"events_a_second": 1e6}
    words = " ".join(scale_page.limits(found | {"tracker": tracker, "driver": driver}, None))
    assert "So the next limit is the driver, at 150.0 times these slots." in words


def _busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_time_is_counted_where_it_goes():
    with stack_sampler.shares((("here", "test_scale"),), "elsewhere") as looks:
        _busy(0.2)
    assert looks["here"] >= 20
    assert looks["elsewhere"] <= 2
