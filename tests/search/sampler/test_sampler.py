import math
import time

import pytest
from optuna.trial import TrialState

from search.core.errors import UsageError
from search.sampler import sampler
from search.sampler.history import SamplerHistory
from search.scheduler.policy import AshaPolicy
from search.space import loader
from spkmodel.config import TrainConfig
from tests.support.scripted_search import ScriptedSearch

SPACE = '''"""How fast, how hard, with what?"""
from spkmodel.config import AAMSoftmax, AdamW, Softmax, TrainConfig
def space(trial):
    loss = Softmax()
    if trial.suggest_categorical("loss", ["softmax", "aam"]) == "aam":
        loss = AAMSoftmax(margin_rad=trial.suggest_float("margin_rad", 0.1, 0.5))
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    return TrainConfig(loss=loss, optimiser=AdamW(learning_rate=rate))
'''


def _load(tmp_path, source):
    path = tmp_path / "made.py"
    path.write_text(source)
    return loader.load(str(path))


@pytest.fixture
def space(tmp_path):
    return _load(tmp_path, SPACE)


def _add(tale, space):
    """Whatever the sampler thinks of next."""
    idea = sampler.suggest(space, tale.state, tale.policy, seed=0)
    return tale.trial(idea.axes, idea.distributions, idea.config)


def _told(tale, name, rung=None):
    return dict(zip(tale.state.trials, _all_told(tale, rung), strict=True))[name]


def _all_told(tale, rung=None):
    known = SamplerHistory(tale.state).refresh(tale.policy)
    return known.frozen_trials(rung or known.model_rung())


def _model_rung(tale):
    return SamplerHistory(tale.state).refresh(tale.policy).model_rung()


def test_the_same_ledger_gives_the_same_suggestion_and_a_longer_one_another(space):
    tale = ScriptedSearch()
    for _ in range(13):
        tale.train(_add(tale, space), 1, 0.3)
    one, other = (sampler.suggest(space, tale.state, tale.policy, seed=0) for _ in range(2))
    assert one == other
    assert sampler.suggest(space, tale.state, tale.policy, seed=1) != one
    _add(tale, space)
    assert sampler.suggest(space, tale.state, tale.policy, seed=0) != one


def test_a_suggestion_is_what_the_space_made_of_its_axes(space):
    idea = sampler.suggest(space, ScriptedSearch().state, ScriptedSearch().policy, seed=3)
    assert isinstance(idea.config, TrainConfig)
    assert idea.config.optimiser.learning_rate == idea.axes["learning_rate"]
    assert set(idea.distributions) == set(idea.axes)


def test_complete_paused_stopped_running_failed_and_crashed_trials_are_told_apart(space):
    tale = ScriptedSearch()
    deep, shallow, running, fresh, diverged, crashed, killed, late, lost, crowded = (
        _add(tale, space) for _ in range(10)
    )
    tale.train(deep, 3, 0.2)
    tale.train(shallow, 1, 0.4)
    tale.segment(running, 3)
    tale.report(running, 1, 0.3)
    tale.segment(fresh, 1)
    tale.segment(diverged, 1)
    tale.end(diverged, "failed", "diverged: loss is nan", "failure")
    tale.end(crashed, "failed", "crashed 3 times: worker died", "failure")
    tale.end(killed, "killed", "stopped by hand", "user")
    tale.segment(late, 9)
    for epoch in (1, 2, 3):
        tale.report(late, epoch, 0.1)
    tale.end(late, "failed", "collapsed: all embeddings are alike", "failure")
    tale.end(lost, "failed", "lost 11 nodes", "failure", kind="lost_node")
    tale.segment(crowded, 1)
    tale.crash(crowded, "CUDA out of memory", kind="out_of_memory")
    seen = {name: _told(tale, name, rung=3) for name in tale.state.trials}
    assert {name: trial.state for name, trial in seen.items()} == {
        deep: TrialState.COMPLETE,
        shallow: TrialState.PRUNED,
        running: TrialState.PRUNED,
        fresh: TrialState.RUNNING,
        diverged: TrialState.PRUNED,
        crashed: TrialState.PRUNED,
        killed: TrialState.FAIL,
        late: TrialState.PRUNED,
        lost: TrialState.PRUNED,
        crowded: TrialState.PRUNED,
    }
    assert (seen[deep].value, seen[deep].intermediate_values) == (0.2, {1: 0.2, 3: 0.2})
    assert seen[shallow].intermediate_values == {1: 0.4}
    violated = {name: trial.constraints for name, trial in seen.items() if trial.constraints}
    assert violated == {
        diverged: {"trains": 1.0},
        crashed: {"trains": 1.0},
        late: {"trains": 0.25},
        lost: {"trains": 1.0},
        crowded: {"trains": 1.0},
    }
    tale.segment(crowded, 1)
    assert _told(tale, crowded).state == TrialState.RUNNING, "alone, it may have room"


def test_a_trial_that_was_stopped_far_up_is_judged_at_the_modelled_rung(space):
    tale = ScriptedSearch()
    name = _add(tale, space)
    tale.train(name, 3, 0.2)
    assert _told(tale, name, rung=1).state == TrialState.COMPLETE
    assert _told(tale, name, rung=9).state == TrialState.PRUNED


def test_the_highest_rung_with_six_results_is_modelled():
    tale = ScriptedSearch(trials=40)
    assert _model_rung(tale) == 1
    names = [tale.trial() for _ in range(14)]
    for name in names:
        tale.train(name, 1, 0.3)
    for name in names[:5]:
        tale.train(name, 3, 0.2)
    assert _model_rung(tale) == 1
    tale.train(names[5], 3, math.nan)
    assert _model_rung(tale) == 1
    tale.train(names[6], 3, 0.2)
    assert _model_rung(tale) == 3


def test_ranks_after_one_epoch_are_not_modelled_unless_there_is_no_other_rung(space):
    def is_random(rungs, epoch, strategy="tpe"):
        tale = ScriptedSearch(trials=40, rungs=rungs)
        for _ in range(20):
            name = _add(tale, space)
            # The lower the rate, the lower the EER: a model moves there.
            rate = tale.state.trials[name].axes["learning_rate"]
            tale.train(name, epoch, 0.3 + 0.1 * math.log10(rate))
        idea = sampler.suggest(space, tale.state, tale.policy, 0, strategy)
        chance = sampler._derive_seed(0, len(tale.state.trials), 0)
        at_random = sampler._ask(space, [], sampler._create_sampler("random", chance, {}))
        return idea.axes == at_random.axes

    assert is_random((1, 3), 1)
    assert not is_random((1, 3), 1, "early_tpe")
    assert not is_random((1,), 1)
    assert not is_random((2, 6), 2)


def _rates(space, eer_of, trials=40, bad=(), kind="diverged"):
    """Learning rates that the sampler tries against a law; a rate in `bad` fails."""
    tale = ScriptedSearch(trials=trials, rungs=(1,))
    rates = []
    for _ in range(trials):
        name = _add(tale, space)
        rate = tale.state.trials[name].axes["learning_rate"]
        rates.append(rate)
        if bad and bad[0] < rate < bad[1]:
            tale.segment(name, 1)
            tale.end(name, "failed", "as it must", "failure", kind=kind)
        else:
            tale.train(name, 1, eer_of(rate))
    return rates


def test_it_learns_where_the_good_ones_are(space):
    rates = _rates(space, lambda rate: 0.1 + 0.1 * abs(math.log10(rate) + 3.5))
    near = [abs(math.log10(rate) + 3.5) < 0.5 for rate in rates]
    assert sum(near[20:]) > sum(near[:20])
    assert sum(near[20:]) >= 12


@pytest.mark.parametrize("kind", ["diverged", "out_of_memory", "crash"])
def test_it_keeps_away_from_where_trainings_fail(space, kind):
    law, half = (lambda rate: 0.2 + (1e6 * rate) % 7 / 100), 10**-2.5
    rates = _rates(space, law, trials=60, bad=(half, 1), kind=kind)
    assert sum(rate > half for rate in rates[:10]) >= 4, "chance: half of them"
    assert sum(rate > half for rate in rates[20:]) <= 10, "of forty"


def test_no_config_is_tried_twice_and_a_small_space_runs_out(tmp_path):
    space = _load(
        tmp_path,
        '"""Two?"""\nfrom spkmodel.config import Softmax, AAMSoftmax, TrainConfig\n'
        "def space(trial):\n"
        '    aam = trial.suggest_categorical("loss", ["softmax", "aam"]) == "aam"\n'
        "    return TrainConfig(loss=AAMSoftmax() if aam else Softmax())\n",
    )
    tale = ScriptedSearch()
    for _ in range(2):
        tale.train(_add(tale, space), 1, 0.3)
    assert len({trial.signature for trial in tale.state.trials.values()}) == 2
    assert sampler.suggest(space, tale.state, tale.policy, seed=0) is None


def test_a_model_that_keeps_to_good_configs_does_not_end_a_search_early(tmp_path):
    space = _load(
        tmp_path,
        '"""Which of thirty?"""\nfrom spkmodel.config import AdamW, TrainConfig\n'
        "def space(trial):\n"
        '    which = trial.suggest_categorical("which", list(range(1, 31)))\n'
        "    return TrainConfig(optimiser=AdamW(learning_rate=1e-4 * which))\n",
    )
    tale = ScriptedSearch(trials=60, rungs=(1,))
    for _ in range(30):
        name = _add(tale, space)
        tale.train(name, 1, 0.01 * tale.state.trials[name].axes["which"])
    assert len({trial.signature for trial in tale.state.trials.values()}) == 30
    assert sampler.suggest(space, tale.state, tale.policy, seed=0) is None


def test_a_config_that_cannot_be_built_names_what_was_asked(tmp_path):
    space = _load(
        tmp_path,
        '"""Bad?"""\nfrom spkmodel.config import AdamW, TrainConfig\n'
        "def space(trial):\n"
        '    rate = trial.suggest_float("rate", 2, 3)\n'
        "    return TrainConfig(optimiser=AdamW(learning_rate=rate))\n",
    )
    with pytest.raises(UsageError, match=r"space 'made' with \{'rate'"):
        sampler.suggest(space, ScriptedSearch().state, ScriptedSearch().policy, seed=0)


def test_chance_alone_is_a_sampler_too(space):
    tale = ScriptedSearch()
    tale.train(_add(tale, space), 1, 0.3)
    one = sampler.suggest(space, tale.state, tale.policy, seed=0, strategy="random")
    assert one == sampler.suggest(space, tale.state, tale.policy, seed=0, strategy="random")


def test_a_thousand_trials_are_taken_in_within_a_second(space):
    tale = ScriptedSearch(trials=1001)
    first = sampler.suggest(space, tale.state, tale.policy, seed=0)
    for number in range(1000):
        rate = 1e-4 * 10 ** (3 * number / 1000)
        name = tale.trial(first.axes | {"learning_rate": rate}, first.distributions, first.config)
        tale.segment(name, 1)
        tale.report(name, 1, 0.1 + number % 7 / 100)
    began = time.process_time()
    assert (
        sampler.suggest(space, tale.state, AshaPolicy((1, 3, 9), trials=1001), seed=0) is not None
    )
    assert time.process_time() - began < 1


# --- two objectives --------------------------------------------------------------------------


def _for_both(trials=40):
    tale = ScriptedSearch(trials=trials)
    objectives = ["dev_eer", "encoder_parameters"]
    tale.record("search", rungs=[1, 3, 9], eta=3, rule="promotion", trials=trials, hours=None,
                objectives=objectives)  # fmt: skip
    return tale


def test_with_two_objectives_all_but_the_untried_are_told_both_and_none_is_pruned(space):
    tale = _for_both()
    ideas = [sampler.suggest(space, tale.state, tale.policy, seed) for seed in range(5)]
    deep, shallow, diverged, fresh, crashed = (
        tale.trial(idea.axes, idea.distributions, idea.config, encoder_parameters=size)
        for idea, size in zip(ideas, (1000, 100, 10, 1, 1), strict=True)
    )
    tale.train(deep, 3, 0.2)
    tale.train(shallow, 1, 0.15)
    tale.segment(diverged, 1)
    tale.end(diverged, "failed", "diverged: loss is nan", "failure")
    tale.segment(fresh, 1)
    tale.end(crashed, "failed", "crashed 3 times: worker died", "failure")
    told = dict(zip(tale.state.trials, _all_told(tale, 3), strict=True))
    assert told[deep].values == [0.2, 3.0]
    assert told[shallow].values == [0.2, 2.0], "no better than the worst that came as far"
    assert told[diverged].values == [1.0, 3.0], "everything dominates it"
    assert told[crashed].values == told[diverged].values
    infeasible = {name for name, trial in told.items() if trial.constraints}
    assert infeasible == {diverged, crashed}
    assert told[fresh].state == TrialState.RUNNING


def test_with_two_objectives_it_suggests_along_the_front(tmp_path):
    space = _load(
        tmp_path,
        '"""How wide, how fast?"""\nfrom spkmodel.config import TDNN, AdamW, TrainConfig\n'
        "def space(trial):\n"
        '    width = trial.suggest_int("width", 8, 512, log=True)\n'
        '    rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)\n'
        "    optimiser = AdamW(learning_rate=rate)\n"
        "    return TrainConfig(encoder=TDNN(channels=width), optimiser=optimiser)\n",
    )
    tale = _for_both(60)
    for _ in range(50):
        idea = sampler.suggest(space, tale.state, tale.policy, seed=0, strategy="early_tpe")
        width, off = idea.axes["width"], abs(math.log10(idea.axes["learning_rate"]) + 2)
        name = tale.trial(idea.axes, idea.distributions, idea.config, encoder_parameters=width**2)
        tale.train(name, 1, 0.1 + 0.2 * off + 0.4 / math.log2(width))
    late = list(tale.state.trials.values())[25:]
    assert sum(abs(math.log10(trial.axes["learning_rate"]) + 2) < 0.5 for trial in late) > 15
    widths = [trial.axes["width"] for trial in late]
    assert min(widths) < 24
    assert max(widths) > 100
