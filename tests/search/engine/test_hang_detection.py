import math

import pytest

from search.engine.hang_detection import HangTimeout, Heartbeats, longest_silence
from tests.support.scripted_search import ScriptedSearch

PATIENCE = HangTimeout(epochs=10, floor_seconds=60)


def _trained(tale, seconds):
    """A trial whose epochs took so many seconds each."""
    tale.segment(tale.trial(), len(seconds) + 1)
    name = list(tale.state.trials)[-1]
    for epoch, each in enumerate(seconds, start=1):
        tale.report(name, epoch, 0.3, seconds=each)
    return tale.state.trials[name]


@pytest.mark.parametrize(
    ("own", "others", "seconds"),
    [
        ([30, 20, 500], [[1], [2]], 300),  # the median of its own
        ([1, 1], [[100]], 60),  # the floor
        ([], [[9, 10, 11], [50, 40, 60], [1]], 500),  # the slowest other trial's
        ([], [[], [0.5]], 60),
        ([], [[]], math.inf),  # nothing is known
    ],
)
def test_silence_may_last_as_long_as_some_usual_epochs(own, others, seconds):
    tale = ScriptedSearch()
    records = [_trained(tale, each) for each in others]
    trial = _trained(tale, own)
    assert longest_silence(trial, [*records, trial], PATIENCE) == seconds


def test_silence_grows_until_it_is_broken_and_only_of_those_at_work():
    now = [0.0]
    silence = Heartbeats(lambda: now[0])
    assert silence.measure_silence(["a"]) == {"a": 0}
    now[0] = 3
    assert silence.measure_silence(["a", "b"]) == {"a": 3, "b": 0}
    now[0] = 5
    silence.record("a")
    assert silence.measure_silence(["a", "b"]) == {"a": 2, "b": 2}
    assert silence.measure_silence(["b"]) == {"b": 2}
    assert silence.measure_silence(["a"]) == {"a": 0}


def test_what_the_driver_was_not_there_to_hear_is_no_silence():
    now = [0.0]
    silence = Heartbeats(lambda: now[0])
    silence.measure_silence(["a"])
    now[0] = 3600
    assert silence.measure_silence(["a"]) == {"a": 5.0}
