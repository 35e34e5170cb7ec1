import numpy as np
import pytest

from spkmodel.verification import intervals
from spkmodel.verification.selection import measure_luck


def _pairs(speakers=20, pairs=4000, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.arange(pairs) % 4 == 0
    enrol = rng.integers(0, speakers, pairs)
    other = (enrol + rng.integers(1, speakers, pairs)) % speakers
    return targets, enrol, np.where(targets, enrol, other)


def _scores(targets, separation, seed):
    return np.random.default_rng(seed).standard_normal(len(targets)) + separation * targets


def test_the_variance_of_a_difference_is_that_of_its_interval():
    targets, enrol, test = _pairs()
    common = _scores(targets, 1.0, 9)
    one, two = (common + _scores(targets, 1.0, seed) for seed in (1, 2))
    found = intervals.eer_covariance([one, two], targets, enrol, test)
    covariance = found.covariance
    deviation = (covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5
    interval = intervals.difference_interval(one, two, targets, enrol, test)
    # Both sides are 1.96 to 2.1 deviations wide, by the quantile of Student's t.
    assert 1.9 < (interval.high - interval.low) / 2 / deviation < 2.3
    assert found.eers[0] - found.eers[1] == pytest.approx((interval.low + interval.high) / 2)


def test_systems_that_share_half_of_their_scores_vary_together_by_half():
    shares = []
    for draw in range(8):
        targets, enrol, test = _pairs(speakers=40, seed=draw)
        common = _scores(targets, 1.0, 100 + draw)
        runs = [common + _scores(targets, 1.0, 10 * draw + seed) for seed in (1, 2)]
        covariance = intervals.eer_covariance(runs, targets, enrol, test).covariance
        shares.append(covariance[0, 1] / (covariance[0, 0] * covariance[1, 1]) ** 0.5)
    # Each is known badly from 40 speakers, their mean well.
    assert 0.3 < np.mean(shares) < 0.65


def test_a_clearly_better_system_is_the_best_and_its_figure_does_not_flatter():
    targets, enrol, test = _pairs()
    scores = [[_scores(targets, each, seed)] for seed, each in enumerate((3.0, 1.0, 1.0))]
    luck = measure_luck(scores, targets, enrol, test)
    assert luck.p_best[0] > 0.999
    assert abs(luck.optimism) < 1e-3
    assert (luck.seed_deviation, luck.config_deviation) == (None, None)
    assert luck.likeliest == 0


def test_equal_systems_share_the_probability_and_the_winner_flatters():
    targets, enrol, test = _pairs()
    scores = [[_scores(targets, 2.0, seed)] for seed in range(5)]
    luck = measure_luck(scores, targets, enrol, test)
    assert sum(luck.p_best) == pytest.approx(1)
    assert max(luck.p_best) < 0.9
    deviation = (
        intervals.eer_covariance([scores[0][0]], targets, enrol, test).covariance[0, 0] ** 0.5
    )
    # The lowest of five equal normal variables is 1.16 deviations below their mean; where they were
    # drawn apart already, less.
    assert 0.2 * deviation < luck.optimism < 1.3 * deviation


def test_the_spread_of_seeds_makes_the_best_less_certain_and_the_median_seed_is_chosen():
    targets, enrol, test = _pairs()
    better = [_scores(targets, each, seed) for seed, each in enumerate((1.6, 2.6, 2.1))]
    worse = [_scores(targets, each, 10 + seed) for seed, each in enumerate((1.4, 2.4, 1.9))]
    one_seed = measure_luck([better[2:], worse[2:]], targets, enrol, test)
    luck = measure_luck([better, worse], targets, enrol, test)
    assert luck.likeliest == 0
    assert luck.median_seed == 2
    assert luck.p_best[0] < one_seed.p_best[0]
    assert luck.seed_deviation == pytest.approx(np.std(luck.eers[0], ddof=1), rel=0.3)
    assert luck.config_deviation < luck.seed_deviation
    assert luck.means[0] == pytest.approx(np.mean(luck.eers[0]))


def test_too_few_speakers_tell_nothing():
    targets, enrol, test = _pairs(speakers=4)
    assert measure_luck([[_scores(targets, 2, 1)]] * 2, targets, enrol, test) is None
