"""What an outage slows is told from what slows all the same."""

import numpy as np
import pytest

from bench.chaos import slowdown
from bench.chaos.slowdown import AFTER, AWAY, BEFORE, CATCHING_UP, Gap

PHASES = {BEFORE: (0, 100), AWAY: (100, 300), CATCHING_UP: (300, 320), AFTER: (320, 420)}


def epochs(longer, drift=0.0, seed=0):
    """Gaps of a second and a little, of two slots; `longer` by this share while it is away."""
    chance, found = np.random.default_rng(seed), []
    for slot in range(2):
        moment = slot / 2
        while moment < 420:
            seconds = 1.05 + float(chance.exponential(0.02)) + drift * moment / 420
            seconds *= 1 + longer * (100 <= moment < 300)
            found.append(Gap(moment, seconds))
            moment += seconds
    return found


@pytest.mark.parametrize("longer", [0.0, 0.005, 0.05])
def test_a_slowing_is_found_with_an_interval_that_holds_it(longer):
    found = slowdown.slowing(epochs(longer), PHASES)
    assert found["low"] <= longer <= found["high"]
    assert found["high"] - found["low"] < 0.01
    assert found["median"] == pytest.approx(longer, abs=0.004)
    assert found["catching_up"] == pytest.approx(0, abs=0.02)
    assert sum(found["epochs"].values()) == len(epochs(longer))


def test_what_grows_all_the_time_is_no_slowing_by_the_outage():
    found = slowdown.slowing(epochs(0.0, drift=0.1), PHASES)
    assert abs(found["mean"]) < 0.005
    only_before = {name: PHASES[name] for name in (BEFORE, AWAY)}
    assert slowdown.slowing(epochs(0.0, drift=0.1), only_before)["mean"] > 0.02


def test_a_few_epochs_say_nothing():
    assert slowdown.slowing(epochs(0.0), PHASES | {AWAY: (100, 110)}) is None
    assert slowdown.slowing(epochs(0.0), {AWAY: (100, 300)}) is None


def test_only_epochs_that_follow_each_other_within_a_segment_are_compared():
    epoch_log = [
        ["a", 1, 7, 0.0],  # the process's first
        ["b", 1, 7, 9.0],
        ["b", 2, 7, 10.0],  # 1 is a rung
        ["a", 2, 8, 10.5],  # another process's first
        ["b", 3, 7, 11.0],
        ["a", 3, 8, 12.5],
        ["b", 4, 7, 20.0],  # 3 is a rung
        ["b", 5, 7, 21.5],
        ["c", 5, 7, 23.0],  # another trial
        ["c", 7, 7, 24.0],  # not the next epoch
        ["b", 6, 7, 25.0],  # c was in between
    ]
    assert slowdown.gaps(epoch_log, (1, 3, 9)) == [Gap(10.0, 1.0), Gap(20.0, 1.5)]
