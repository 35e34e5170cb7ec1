"""What a prior is heeded for, and for how long; that a wrong one does not hurt for long."""

import numpy as np
import pytest

from bench.support import formula_search
from search.ledger.events import Prior, PriorEvent, PriorPoint
from search.ledger.formats import parse
from search.ledger.state import SearchState
from search.sampler import prior as priors
from search.sampler import sampler
from search.sampler.prior import ORIGIN, QUEUE_KEY_PREFIX
from search.scheduler.policy import AshaPolicy
from search.scheduler.rung_queries import ranking
from search.space import loader
from tests.support.scripted_search import ScriptedSearch

SPACE = '''"""How fast?"""
from spkmodel.config import AdamW, TrainConfig
def space(trial):
    rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
    return TrainConfig(optimiser=AdamW(learning_rate=rate))
'''


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("spaces") / "made.py"
    path.write_text(SPACE)
    return loader.load(str(path))


def _prior(space, *rates):
    made = [sampler.complete_point(space, {"learning_rate": rate}, seed=0) for rate in rates]
    points = [PriorPoint(f"entry {i}", m.axes, m.distributions) for i, m in enumerate(made)]
    return Prior("logged", tuple(points))


def _tale(space, *rates, trials=60):
    tale = ScriptedSearch(trials=trials, rungs=(1,))
    prior = _prior(space, *rates)
    tale.record("prior", source=prior.source, points=prior.points)
    return tale


def _add(tale, space, dev_eer, idea=None):
    idea = idea or sampler.suggest(space, tale.state, tale.policy, seed=0)
    name = tale.trial(idea.axes, idea.distributions, idea.config, origin=idea.origin)
    tale.train(name, 1, dev_eer(idea.axes["learning_rate"]))
    return idea


def _share(tale):
    return priors.prior_probability(tale.state, ranking(tale.state, 1, tale.policy))


def test_the_ledger_gives_the_prior_back(space):
    prior = _prior(space, 1e-3, 1e-2)
    event = PriorEvent(time="t", search="s", source=prior.source, points=prior.points)
    assert parse(event.to_line().encode()).prior == prior
    assert _tale(space, 1e-3, 1e-2).state.prior == prior


def test_before_any_trial_the_prior_is_asked_and_answers_near_its_best(space):
    tale = _tale(space, *[10**-place for place in np.linspace(2.9, 0.1, 24)])
    rates = [sampler.suggest(space, tale.state, tale.policy, seed).axes["learning_rate"]
             for seed in range(20)]  # fmt: skip
    assert all(
        sampler.suggest(space, tale.state, tale.policy, seed).origin == ORIGIN for seed in range(3)
    )
    assert np.mean([10**-3.5 < rate < 10**-2.3 for rate in rates]) > 0.6


def test_the_same_ledger_gives_the_same_suggestion_with_a_prior_too(space):
    tale = _tale(space, 1e-3, 1e-2)
    for _ in range(4):
        _add(tale, space, lambda rate: 0.3 + rate / 10)
    one, other = (sampler.suggest(space, tale.state, tale.policy, seed=0) for _ in range(2))
    assert one == other


def test_the_share_halves_and_dies_away_with_the_trials(space):
    tale = _tale(space, 1e-3)
    shares = [_share(tale)]
    for _ in range(45):
        tale.train(tale.trial(), 1, 0.3)
        shares.append(_share(tale))
    assert shares[0] == 1.0
    assert shares[3] == pytest.approx(0.5)
    assert shares[45] == pytest.approx(1 / 16)
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("its", "others", "heeded"),
    [(0.1, 0.3, 1.0), (0.3, 0.3, 1.0), (0.3, 0.1, 0.0)],
)
def test_a_prior_that_loses_is_asked_less_and_one_that_wins_as_before(space, its, others, heeded):
    tale = _tale(space, 1e-3)
    for number in range(4):
        tale.train(tale.trial(origin=ORIGIN), 1, its + number * 1e-9)
        tale.train(tale.trial(), 1, others + number * 1e-9)
    faded = priors.PRIOR_TRIALS / (priors.PRIOR_TRIALS + 8)
    assert _share(tale) == pytest.approx(faded * heeded, abs=0.2 * faded)


def test_what_was_wished_for_from_the_prior_counts_as_its_and_diverging_as_losing(space):
    tale = _tale(space, 1e-3)
    tale.train(tale.trial(), 1, 0.4)
    first = tale.trial(wish=f"{QUEUE_KEY_PREFIX}entry 0")
    assert priors.is_from_prior(tale.state.trials[first])
    tale.segment(first, 1)
    assert _share(tale) == pytest.approx(priors.PRIOR_TRIALS / (priors.PRIOR_TRIALS + 2))
    tale.end(first, "failed", "diverged: loss is nan", "failure")
    assert _share(tale) == 0.0


def test_without_a_prior_and_by_chance_alone_nothing_is_asked_of_one(space):
    assert (
        sampler.suggest(space, ScriptedSearch().state, ScriptedSearch().policy, seed=0).origin
        == "sampler"
    )
    tale = _tale(space, 1e-3)
    assert sampler.suggest(space, tale.state, tale.policy, 0, "random").origin == "sampler"


def test_an_answer_that_is_not_known_is_drawn_by_chance_and_the_known_ones_stay(tmp_path):
    path = tmp_path / "made.py"
    path.write_text(
        '"""Two?"""\nfrom spkmodel.config import AdamW, TrainConfig\n'
        "def space(trial):\n"
        '    rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)\n'
        '    decay = trial.suggest_float("weight_decay", 0.0, 0.5)\n'
        "    return TrainConfig(optimiser=AdamW(learning_rate=rate, weight_decay=decay))\n"
    )
    space = loader.load(str(path))
    one, other = (sampler.complete_point(space, {"learning_rate": 0.01}, seed) for seed in (0, 1))
    assert one == sampler.complete_point(space, {"learning_rate": 0.01}, 0)
    assert one.axes["learning_rate"] == other.axes["learning_rate"] == 0.01
    assert one.axes["weight_decay"] != other.axes["weight_decay"]
    assert (one.config.seed, other.config.seed) == (0, 1)


def test_the_first_are_the_best_and_most_different():
    def apart(one, other):
        return abs(one - other) / 100

    assert priors.select_diverse([50, 51, 52, 0, 53, 100], 3, apart) == [50, 0, 100]
    assert priors.select_diverse([50, 51], 5, apart) == [50, 51]
    assert priors.select_diverse([50, 51], 0, apart) == []
    assert priors.select_diverse([], 3, apart) == []


def test_few_trials_leave_room_for_more_than_the_prior():
    assert [priors.default_count(trials) for trials in (1, 3, 6, 15, 100)] == [1, 1, 2, 5, 5]


def test_a_right_prior_helps_at_once_and_a_wrong_one_does_not_hurt_for_long():
    """The same searches three times; `python -m bench.priors` has the figures of many more."""
    policy = AshaPolicy(rungs=(1,), trials=24)
    none, right, wrong = (
        np.array([formula_search.regrets(seed, prior, policy) for seed in range(4)])
        for prior in formula_search.PRIORS
    )
    assert right[:, 4].mean() < 0.5 * none[:, 4].mean()
    assert wrong[:, 4].mean() > none[:, 4].mean(), "it is wrong"
    assert wrong[:, 23].mean() < 1.3 * none[:, 23].mean()
    assert wrong[:, 23].mean() < 0.15 * wrong[:, 4].mean()


def test_a_state_without_a_prior_event_has_none():
    assert SearchState().prior is None
