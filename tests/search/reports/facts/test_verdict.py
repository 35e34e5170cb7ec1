"""What a report says of the best trial, and what it does not claim."""

import pytest

from search.reports.facts.best_so_far import Result, find_improvements
from search.reports.facts.failures import count_failures
from search.reports.facts.seeds import find_seed_spreads
from search.reports.facts.verdict import judge_search, measure_luck
from spkmodel.config import TrainConfig
from tests.support.scripted_search import ScriptedSearch


def train(tale, eer, half=0.01, to_rung=9, epochs=None, **trial):
    """A trial whose dev EER is the same at every epoch, with an interval of so much each way."""
    name = tale.trial(**trial)
    tale.segment(name, to_rung)
    for epoch in range(1, (epochs or to_rung) + 1):
        metrics = {"dev_eer": eer, "dev_eer_low": eer - half, "dev_eer_high": eer + half}
        tale.record(
            "report", trial=name, attempt=1, epoch=epoch, metrics=metrics | {"dev_speakers": 40.0},
            seconds=1.0, checkpoint=f"{name}-{epoch}", sha256="0",
        )  # fmt: skip
    tale.record_ends()
    return name


def said(state, question, promoted=None):
    sentences = judge_search(state, promoted).sentences
    return next(each for each in sentences if each.question.startswith(question))


@pytest.fixture
def tale():
    return ScriptedSearch()


def test_the_best_trial_has_its_interval_and_speakers(tale):
    train(tale, 0.2)
    train(tale, 0.1)
    best = judge_search(tale.state).best
    assert (best.trial, best.eer, best.speakers) == ("t0002", 0.1, 40)
    assert best.low == pytest.approx(0.09)


@pytest.mark.parametrize(
    ("default", "tone", "begin"),
    [(0.2, "good", "Yes, by 10.00 points"), (0.105, "open", "Not decided")],
)
def test_better_than_the_default_config_needs_an_interval_without_zero(tale, default, tone, begin):
    train(tale, default, origin="default")
    train(tale, 0.1)
    sentence = said(tale.state, "Better than not searching")
    assert sentence.tone == tone
    assert sentence.text.startswith(begin)


def test_a_default_config_that_is_best_is_called_so(tale):
    train(tale, 0.1, origin="default")
    train(tale, 0.2)
    sentence = said(tale.state, "Better than not searching")
    assert sentence.tone == "bad"
    assert "itself the best" in sentence.text


def test_without_a_default_trial_nothing_is_said_of_the_gain(tale):
    train(tale, 0.1)
    assert said(tale.state, "Better than not searching").tone == "plain"


def test_a_default_that_was_stopped_early_is_compared_after_as_many_epochs(tale):
    default = train(tale, 0.2, to_rung=1, origin="default")
    tale.end(default, "stopped", "not among the best", "rule")
    best = train(tale, 0.1)
    tale.state.trials[best].reports[1].metrics["dev_eer"] = 0.3
    sentence = said(tale.state, "Better than not searching")
    assert "after 1 epoch," in sentence.text
    assert sentence.text.startswith("No, worse by 10.00 points")
    assert sentence.tone == "bad"  # 30 % against 20 %, although it came to 10 % later


def test_a_second_best_within_the_interval_is_undecided_and_the_paired_command_is_named(tale):
    train(tale, 0.1)
    train(tale, 0.101)
    sentence = said(tale.state, "Better than the second best")
    assert sentence.tone == "open"
    assert "spksearch compare story/t0001 story/t0002" in sentence.text


def test_luck_is_none_without_noise_and_even_odds_among_equals():
    def results(deviation, *eers):
        half = 1.96 * deviation
        return [Result(str(eer), 9, eer, eer - half, eer + half, 40) for eer in eers]

    sure = measure_luck(results(1e-9, 0.1, 0.2, 0.3))
    assert (sure.probability, sure.optimism) == (1.0, pytest.approx(0, abs=1e-8))
    equal = measure_luck(results(0.01, 0.1, 0.1))
    assert equal.probability == pytest.approx(0.5, abs=0.03)
    # The mean of the lower of two draws of N(0, s) is -s / sqrt(pi).
    assert equal.optimism == pytest.approx(0.01 / 3.14159265**0.5, rel=0.05)
    assert measure_luck(results(0.01, 0.1)) is None


def test_worse_than_no_network_is_said_plainly(tale):
    train(tale, 0.1)
    numbers = {
        "eer": 0.374, "eer_low": 0.33, "eer_high": 0.42,
        "floors": [{"name": "mel statistics, LDA, cosine", "eer": 0.205}],
    }  # fmt: skip
    promoted = {"trial": "t0001", "test": {"conditions": {"mismatched": numbers}}}
    sentence = said(tale.state, "Better than no network at all (mismatched)", promoted)
    assert sentence.tone == "bad"
    assert sentence.text.startswith("No. t0001 on mismatched test pairs: 37.40 %")


def selection(**more):
    """What a promotion's report says of the trials that were compared on the dev pairs."""
    compared = [
        {
            "of": "t0001",
            "default": False,
            "trials": {"t0001": 0.1},
            "mean_eer": 0.1,
            "p_best": 0.62,
        },
        {"of": "t0002", "default": True, "trials": {"t0002": 0.2}, "mean_eer": 0.2, "p_best": 0.38},
    ]
    against = {"trial": "t0002", "difference": -0.1, "low": -0.15, "high": -0.05, "p_better": 0.99}
    return {
        "kind": "finalists", "epochs": 9, "compared": compared, "chosen": "t0001",
        "optimism": 0.0115, "against_default": against,
    } | more  # fmt: skip


def test_paired_scores_of_a_promotion_take_the_place_of_intervals(tale):
    train(tale, 0.1)
    train(tale, 0.2, half=0.5, origin="default")
    promoted = {"trial": "t0001", "test": None, "selection": selection()}
    assert said(tale.state, "Better than not searching").tone == "open"
    paired = said(tale.state, "Better than not searching", promoted)
    assert (paired.tone, paired.text[:40]) == ("good", "Yes, by 10.00 points, 95 % interval 5.00")
    assert "probability of 62 %" in said(tale.state, "Best, or lucky", promoted).text
    assert "1.15 points" in said(tale.state, "Best, or lucky", promoted).text


@pytest.mark.parametrize(
    ("low", "high", "tone"), [(-0.15, 0.01, "open"), (0.01, 0.2, "bad"), (None, None, "open")]
)
def test_a_paired_interval_with_zero_in_it_decides_nothing(tale, low, high, tone):
    train(tale, 0.1)
    against = {"trial": "t0002", "difference": -0.07, "low": low, "high": high, "p_better": 0.9}
    found = selection(against_default=against)
    promoted = {"trial": "t0001", "test": None, "selection": found}
    assert said(tale.state, "Better than not searching", promoted).tone == tone


def test_before_a_promotion_the_floors_are_not_measured(tale):
    train(tale, 0.1)
    assert said(tale.state, "Better than no network").tone == "plain"


def test_a_search_whose_trials_all_failed_says_so(tale):
    tale.segment(tale.trial(), 1)
    tale.end("t0001", "failed", "diverged", "failure", kind="diverged")
    verdict = judge_search(tale.state)
    assert verdict.best is None
    assert verdict.sentences[0].text.startswith("All 1 trials failed")


def test_the_best_so_far_is_every_result_better_than_all_before(tale):
    tale.train_new(0.3, 0.2, 0.25, 0.1)
    found, epochs = find_improvements(tale.state.trials.values())
    assert [(each.trial, each.epochs) for each in found] == [
        ("t0001", 1), ("t0002", 2), ("t0004", 4),
    ]  # fmt: skip
    assert epochs == 4


def test_failures_are_counted_by_kind_with_attempts_that_were_cut_short(tale):
    tale.segment(tale.trial(), 1)
    tale.crash("t0001", kind="crash")
    tale.segment("t0001", 1)
    tale.end("t0001", "failed", "loss is nan", "failure", kind="diverged")
    diverged, crash = count_failures(tale.state.trials.values())
    assert (diverged.kind, diverged.trials, diverged.example) == (
        "diverged", ("t0001",), "loss is nan",
    )  # fmt: skip
    assert (crash.kind, crash.trials, crash.interruptions) == ("crash", (), 1)


def test_seeds_of_one_config_are_compared_after_equally_many_epochs(tale):
    for seed, eer, epochs in ((1, 0.1, 9), (2, 0.12, 3)):
        train(tale, eer, to_rung=9, epochs=epochs, config=TrainConfig(seed=seed))
    train(tale, 0.3)
    (spread,) = find_seed_spreads(tale.state.trials.values())
    assert (spread.trials, spread.epoch) == (("t0001", "t0002"), 3)
    assert spread.mean == pytest.approx(0.11)
    assert spread.deviation == pytest.approx(0.02 / 2**0.5)
