"""What runs next, and how many trials want to run."""

from search.ledger.state import SearchState
from search.scheduler.next_job import MOST_WANTED, count_wanted_trials
from search.scheduler.policy import AshaPolicy


def state_with(*events):
    state = SearchState()
    state.apply({"event": "search", "time": "2026-01-01T00:00:00+00:00", "rungs": [1, 3]})
    state.apply({"event": "driver", "time": "2026-01-01T00:00:00+00:00"})
    for kind, fields in events:
        state.apply({"event": kind, "time": "2026-01-01T00:00:01+00:00"} | fields)
    return state


def begun(name):
    fields = {"trial": name, "config": {}, "axes": {}, "distributions": {}, "signature": name}
    segment = {"trial": name, "attempt": 1, "from_epoch": 0, "to_rung": 1}
    return [("trial", fields | {"origin": "sampler"}), ("segment", segment)]


def test_what_runs_and_what_may_still_be_tried_is_wanted():
    policy = AshaPolicy(rungs=(1, 3), trials=5)
    assert count_wanted_trials(state_with(), policy) == 5
    assert count_wanted_trials(state_with(*begun("t0001")), policy) == 5
    assert count_wanted_trials(state_with(*begun("t0001")), AshaPolicy(rungs=(1, 3), trials=1)) == 1
    assert count_wanted_trials(state_with(), AshaPolicy(rungs=(1, 3), hours=2)) == MOST_WANTED


def test_on_hold_no_machine_is_asked_for_but_for_what_runs():
    policy = AshaPolicy(rungs=(1, 3), trials=5)
    paused = ("hold", {"cause": "user", "reason": "lunch", "by": "me"})
    shrunk = ("hold", {"cause": "cluster", "reason": "no room", "by": "driver"})
    assert count_wanted_trials(state_with(*begun("t0001"), paused), policy) == 1
    assert count_wanted_trials(state_with(*begun("t0001"), shrunk), policy) == 5
    stop = ("stop", {"trial": None, "now": False, "by": "me"})
    assert count_wanted_trials(state_with(*begun("t0001"), stop), policy) == 1
