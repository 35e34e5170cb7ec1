"""Simulated searches keep their budget, repeat themselves, and measure what they say."""

import json

import numpy as np
import pytest

from bench.simulate import ours
from bench.simulate.arms import ARMS, DEFAULT, SHIPPED, Conditions
from bench.simulate.clock import Measurement, Run, SimulatedClock, run
from bench.simulate.curves import EPOCHS
from bench.simulate.measures import STEPS, compute_to_reach, trajectory
from bench.simulate.synthetic import benign, crossing
from bench.simulate.table import Cell, Key, Table

_GIVEN = Conditions(seed=3, budget=8.0, workers=4)


@pytest.mark.parametrize("arm", [DEFAULT, SHIPPED, "random, one epoch, then best 10"])
def test_a_search_spends_its_budget_and_no_more(arm):
    done = ARMS[arm](crossing(3), _GIVEN)
    assert 0.7 * _GIVEN.budget < done.measured[-1].second <= _GIVEN.budget
    seconds = [each.second for each in done.measured]
    assert seconds == sorted(seconds)
    # Every trial's epochs come once, in order.
    for trial in {each.trial for each in done.measured}:
        epochs = [each.epoch for each in done.measured if each.trial == trial]
        assert epochs == list(range(1, len(epochs) + 1))


def test_the_same_seed_gives_the_same_search_whatever_its_strategy_measures():
    first, again = (ARMS[DEFAULT](benign(1), _GIVEN) for _ in range(2))
    assert first.measured == again.measured
    family = benign(1)
    with ours.opened(family, ours.Settings(), 3, 4.0, 1, clock := SimulatedClock()) as search:
        run(search, family, 4.0, 1, clock)
        axes = search.axes_of("t0001")
    assert np.array_equal(family.curve(axes).seen, benign(1).curve(axes).seen, equal_nan=True)


def test_curves_of_the_crossing_family_cross_and_those_of_the_benign_one_do_not():
    def agreement(family):
        configs = [ours.random_axes(family.space, seed) for seed in range(40)]
        true = np.array([family.curve(axes).true for axes in configs])
        ranks = true[:, [0, EPOCHS - 1]].argsort(axis=0).argsort(axis=0)
        return np.corrcoef(ranks.T)[0, 1]

    assert agreement(benign(0)) > 0.9
    assert agreement(crossing(0)) < 0.5


def _measured(second, trial, epoch, seen):
    return Measurement(second, trial, epoch, seen, true=seen + 0.01)


def test_the_incumbent_is_the_best_at_the_highest_rung_or_by_the_last_value():
    story = [
        _measured(1.0, "a", 1, 0.30),
        _measured(2.0, "b", 1, 0.20),
        _measured(3.0, "b", 2, 0.05),
        _measured(4.0, "b", 3, 0.25),
    ]
    done = Run(4.0, 1, (1, 3), story)
    quarter = STEPS // 4
    by_rung, by_last = trajectory(done, "rung"), trajectory(done, "last")
    # Epoch 2 is no rung: what is there is compared at epoch 1 until someone is at 3.
    assert [by_rung[n * quarter - 1] for n in (1, 2, 3, 4)] == pytest.approx(
        [0.31, 0.21, 0.21, 0.26]
    )
    assert by_last[3 * quarter - 1] == pytest.approx(0.06)
    assert by_last[-1] == pytest.approx(0.26)
    assert by_rung[0] == 0.5


def test_the_compute_to_a_goal_counts_from_when_the_curve_stays_below_it():
    assert compute_to_reach([0.4, 0.2, 0.3, 0.1], 0.25) == 1.0
    assert compute_to_reach([0.4, 0.2, 0.2, 0.1], 0.25) == 0.5
    assert compute_to_reach([0.2, 0.2], 0.25) == 0.5
    assert compute_to_reach([0.4, 0.3], 0.25) == float("inf")


def test_a_cell_keeps_the_mean_and_every_end_and_comes_back_from_the_file(tmp_path):
    table, key = Table(tmp_path / "table.json"), Key("benign", 8, "ours: tpe, 2/9/27, eta 6")
    for level in (0.2, 0.4):
        table.cell(key).add({"rung": [level] * STEPS, "last": [level / 2] * STEPS}, 7)
    table.write()
    back = Table(tmp_path / "table.json").cells[key]
    assert back == table.cell(key)
    assert back.mean["rung"][0] == pytest.approx(0.3)
    assert list(back.final("last")) == [0.1, 0.2]
    assert (Cell().count, back.count) == (0, 2)
    json.loads((tmp_path / "table.json").read_text())
