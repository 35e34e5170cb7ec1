"""AS-norm agrees with cases worked by hand and with its definition, pair by pair."""

import numpy as np
import pytest

from spkmodel.verification.score_norm import as_norm

# Two utterances against a cohort of four. Nearest to e: members 0 and 1; nearest to t: 2 and 3.
COHORT = np.array([[0.6, 0.4, 0.1, 0.3], [0.0, 0.2, 0.5, 0.9]])
PAIR = np.array([[0, 1]])


def against(cohort_scores):
    return lambda places: cohort_scores[places]


def test_own_cohorts_by_hand():
    # e: mean .5, deviation .1; t: mean .7, deviation .2; s = .8: 1/2 (3 + .5)
    assert as_norm(np.array([0.8]), PAIR, against(COHORT), 2, "own") == pytest.approx([1.75])


def test_cross_selected_cohorts_by_hand():
    # e over members 2 and 3: mean .2, deviation .1; t over 0 and 1: mean .1, deviation .1
    assert as_norm(np.array([0.8]), PAIR, against(COHORT), 2, "cross") == pytest.approx([6.5])


def test_the_whole_cohort_makes_both_conventions_the_same():
    own, cross = (
        as_norm(np.array([0.8]), PAIR, against(COHORT), 4, way) for way in ("own", "cross")
    )
    e, t = (0.8 - 0.35) / COHORT[0].std(), (0.8 - 0.4) / COHORT[1].std()
    assert own == pytest.approx([(e + t) / 2])
    assert cross == pytest.approx(own)


def by_definition(score, enrolment, test, top, selection):
    nearest = {"e": np.argsort(-enrolment)[:top], "t": np.argsort(-test)[:top]}
    if selection == "cross":
        nearest = {"e": nearest["t"], "t": nearest["e"]}
    of_e, of_t = enrolment[nearest["e"]], test[nearest["t"]]
    z_e = (score - of_e.mean()) / np.sqrt(((of_e - of_e.mean()) ** 2).sum() / top)
    z_t = (score - of_t.mean()) / np.sqrt(((of_t - of_t.mean()) ** 2).sum() / top)
    return (z_e + z_t) / 2


@pytest.mark.parametrize("selection", ["own", "cross"])
@pytest.mark.parametrize("top", [2, 7, 40])
def test_any_list_of_pairs_agrees_with_the_definition(selection, top, monkeypatch):
    random = np.random.default_rng(top)
    cohort, scores = random.normal(size=(9, 40)), random.normal(size=50)
    sides = random.integers(9, size=(50, 2))
    expected = [
        by_definition(score, cohort[e], cohort[t], top, selection)
        for score, (e, t) in zip(scores, sides, strict=True)
    ]
    monkeypatch.setattr("spkmodel.verification.score_norm._CHUNK", 8)
    assert as_norm(scores, sides, against(cohort), top, selection) == pytest.approx(expected)


@pytest.mark.parametrize("selection", ["own", "cross"])
def test_both_sides_count_alike(selection):
    turned = as_norm(np.array([0.8]), PAIR[:, ::-1], against(COHORT), 2, selection)
    assert turned == pytest.approx(as_norm(np.array([0.8]), PAIR, against(COHORT), 2, selection))


@pytest.mark.parametrize("top", [1, 5])
def test_a_top_that_the_cohort_does_not_have_is_refused(top):
    with pytest.raises(ValueError, match=f"2 to 4 highest scores .* got top {top}"):
        as_norm(np.array([0.8]), PAIR, against(COHORT), top)


@pytest.mark.parametrize("selection", ["own", "cross"])
def test_a_cohort_of_one_voice_is_refused(selection):
    with pytest.raises(ValueError, match="different voices"):
        as_norm(np.array([0.8]), PAIR, against(np.full((2, 4), 0.3)), 3, selection)
