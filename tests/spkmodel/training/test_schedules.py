import math

import pytest

from spkmodel.config import (
    SGDR,
    Constant,
    Cosine,
    CosineRestarts,
    ExponentialDecay,
    ExponentialFall,
    OneCycle,
    StepDecay,
)
from spkmodel.training.schedules import learning_rate

_STEPS_PER_EPOCH = 100


def _rate(schedule, epochs, full=1.0):
    return learning_rate(
        schedule, full, epochs=epochs, steps=max(1, round(epochs * _STEPS_PER_EPOCH))
    )


def _at_step(schedule, step, full=1.0):
    return learning_rate(schedule, full, epochs=step / _STEPS_PER_EPOCH, steps=step)


def test_restarts_end_their_cycles_at_the_rungs():
    schedule = CosineRestarts(first_epochs=1, growth=3, warmup_fraction=0.1, floor=0.01)
    for end in (1.0, 3.0, 9.0, 27.0):
        assert _rate(schedule, end) == pytest.approx(0.01)
        assert _rate(schedule, end + 0.001 * end) < 0.02
    assert _rate(schedule, 1 + 0.1 * 2) == pytest.approx(1.0)
    assert _rate(schedule, 3 + 0.55 * 6) == pytest.approx(0.505)


def test_the_logs_cycles_end_where_its_step_budgets_do():
    schedule = SGDR(first_steps=1000, length_growth=2)
    for end in (1000, 3000, 7000, 63_000, 127_000, 255_000, 511_000):
        assert _at_step(schedule, end) < 1e-5
        assert _at_step(schedule, end + 1) == 1
    assert _at_step(schedule, 501) == pytest.approx(0.5)
    assert _at_step(schedule, 1001 + 1000) == pytest.approx(0.5)
    assert _at_step(schedule, 3001 + 1000) == pytest.approx(0.5 + math.sqrt(0.125))


def test_cycles_in_steps_may_all_have_one_length_a_warm_up_and_a_floor():
    schedule = SGDR(first_steps=10, length_growth=1, warmup_fraction=0.2, floor=0.1)
    first, third = (
        [_at_step(schedule, step) for step in range(start, start + 10)] for start in (1, 21)
    )
    assert first == third
    assert first[:3] == [0.5, 1, 1]
    assert first[6] == pytest.approx(0.55)
    assert 0.1 < first[9] < 0.15


def test_one_cosine_falls_from_full_rate_to_its_floor_and_stays_there():
    schedule = Cosine(epochs=5, warmup_epochs=1)
    rates = [_rate(schedule, epochs, 2.0) for epochs in (0.5, 1.0, 3.0, 5.0, 9.0)]
    assert rates == pytest.approx([1, 2, 1, 0, 0])
    assert _rate(Cosine(epochs=5, floor=0.25), 7.0) == pytest.approx(0.25)


def test_a_constant_rate_is_reached_after_the_warm_up():
    rates = [_rate(Constant(warmup_epochs=2), epochs) for epochs in (0.5, 1.0, 2.0, 30.0)]
    assert rates == [0.25, 0.5, 1, 1]
    assert math.isclose(_rate(Constant(), 0.01, 0.3), 0.3)


def test_a_step_comes_after_the_last_step_of_the_epochs_before_it():
    schedule = StepDecay(every_epochs=10, factor=0.95)
    rates = [_rate(schedule, epochs) for epochs in (0.01, 10.0, 10.01, 20.0, 20.01)]
    assert rates == pytest.approx([1, 1, 0.95, 0.95, 0.95**2])
    assert _rate(StepDecay(warmup_epochs=4), 1.0) == pytest.approx(0.25)


def test_entry_42_falls_by_a_hundredth_every_250_steps():
    smooth, stairs = ExponentialDecay(), ExponentialDecay(staircase=True)
    steps = (1, 126, 251, 501)
    assert [_at_step(smooth, step) for step in steps] == pytest.approx(
        [1, 0.99**0.5, 0.99, 0.99**2]
    )
    assert [_at_step(stairs, step) for step in steps] == pytest.approx([1, 1, 0.99, 0.99**2])


def test_an_exponential_goes_from_full_rate_to_its_floor_under_the_warm_up():
    schedule = ExponentialFall(epochs=150, floor=5e-4, warmup_epochs=6)
    assert _rate(schedule, 150.0, 0.1) == pytest.approx(5e-5)
    assert _rate(schedule, 200.0, 0.1) == pytest.approx(5e-5)
    assert _rate(schedule, 75.0, 0.1) == pytest.approx(0.1 * math.sqrt(5e-4))
    assert _rate(schedule, 3.0, 0.1) == pytest.approx(0.1 * 0.5 * 5e-4 ** (3 / 150))


def test_one_cycle_goes_up_once_and_down_once():
    schedule = OneCycle(epochs=10, rise_fraction=0.3, initial_fraction=0.1, floor=0.01)
    rates = [_rate(schedule, epochs) for epochs in (0.0, 1.5, 3.0, 6.5, 10.0, 12.0)]
    assert rates == pytest.approx([0.1, 0.55, 1, 0.505, 0.01, 0.01])


@pytest.mark.parametrize("schedule", [Cosine, ExponentialFall])
def test_a_warm_up_that_never_ends_is_refused(schedule):
    with pytest.raises(ValueError, match="warmup_epochs must be below"):
        schedule(epochs=2, warmup_epochs=2)
