"""Slices hold the pairs they say, and have an EER only where it means something."""

import numpy as np
import pytest

from spkmodel.verification import metrics, subsets
from spkmodel.verification.subsets import (
    ScoredPairs,
    Subset,
    find_worst_speakers,
    measure_subset,
    subsets_by_bin,
    subsets_by_group,
)


def names(found):
    return [each.name for each in found]


def places(found, name):
    return np.flatnonzero(next(each for each in found if each.name == name).chosen).tolist()


def verified(speakers=8, each=5, seed=0):
    """All pairs of some utterances; the last speaker is hard to accept."""
    random = np.random.default_rng(seed)
    whose = np.repeat(np.arange(speakers), each)
    one, other = np.triu_indices(len(whose), 1)
    targets = whose[one] == whose[other]
    goat = targets & (whose[one] == speakers - 1)
    scores = random.normal(1.5 * targets - 3 * goat, 1)
    named = np.array([f"s{n}" for n in range(speakers)])
    return ScoredPairs(
        scores,
        targets,
        named[whose[one]],
        named[whose[other]],
        metrics.threshold_at_eer(scores, targets),
    )


def test_groups_hold_pairs_whose_sides_are_both_of_the_group():
    found = subsets_by_group(
        "gender", ["f", "m", "f", "f", "", "m"], ["f", "m", "m", "f", "f", "f"]
    )
    assert names(found) == ["gender=f", "gender=m", "gender same", "gender different"]
    assert places(found, "gender=f") == [0, 3]
    assert places(found, "gender=m") == [1]
    assert places(found, "gender same") == [0, 1, 3]
    assert places(found, "gender different") == [2, 5]  # what is unknown is in none


def test_one_group_alone_has_no_comparison_of_same_and_different():
    assert names(subsets_by_group("gender", ["f", ""], ["f", "f"])) == ["gender=f"]


def test_groups_that_are_bins_keep_their_names_and_order():
    bins = subsets.bin_names("age", [9.0, 30.0])
    assert bins == ["age<9", "9<=age<30", "age>=30"]
    sides = [[bins[0], bins[2], bins[1]], [bins[0], bins[2], bins[1]]]
    assert names(subsets_by_group("age", *sides, bins))[:3] == bins


def test_bins_go_by_the_lower_of_both_sides_and_an_edge_belongs_above():
    found = subsets_by_bin(
        "snr_db", np.array([3, 5, 20, np.nan, 9]), np.array([30, 12, 11, 4, 5.0]), [5.0, 10.0]
    )
    assert names(found) == ["snr_db<5", "5<=snr_db<10", "snr_db>=10"]
    assert places(found, "snr_db<5") == [0]
    assert places(found, "5<=snr_db<10") == [1, 4]
    assert places(found, "snr_db>=10") == [2]


def test_quantiles_part_the_pairs_evenly():
    random = np.random.default_rng(0)
    one, other = random.gamma(2, 2, size=(2, 3000))
    edges = subsets.lower_quantile_edges(one, other)
    assert len(edges) == 2
    sizes = [each.chosen.sum() for each in subsets_by_bin("duration", one, other, edges)]
    assert sum(sizes) == 3000
    assert min(sizes) > 970


@pytest.mark.parametrize(
    ("numbers", "edges"),
    [([2.0] * 9, []), ([1.0, 2.0], [1.33, 1.67]), ([], []), ([1, 1, 1, 9.0], [])],
)
def test_quantiles_that_would_part_nothing_are_left_out(numbers, edges):
    assert subsets.quantile_edges(np.array(numbers, dtype=float)) == edges
    assert len(subsets.bin_names("x", edges)) == len(edges) + 1


def test_a_slice_has_the_figures_of_its_pairs_alone():
    scored = verified()
    chosen = np.isin(scored.enrol_speakers, ["s0", "s1", "s2", "s3", "s4", "s7"])
    found = measure_subset(Subset("some", "", chosen), scored)
    part = scored.select(chosen)
    assert found.eer == metrics.eer(part.scores, part.targets)
    assert found.eer_low <= found.eer <= found.eer_high
    assert (found.miss, found.false_alarm) == pytest.approx(
        metrics.rates_at(part.scores, part.targets, scored.threshold)
    )
    assert (found.pairs, found.targets, found.why_not) == (chosen.sum(), 60, "")


def test_too_few_pairs_or_speakers_have_no_eer_and_the_reason():
    scored = verified()
    targets_only = measure_subset(Subset("t", "", scored.targets), scored)
    assert (targets_only.eer, targets_only.false_alarm) == (None, None)
    assert targets_only.why_not == "no non-target pair, 30 needed"
    assert 0 < targets_only.miss < 1
    both = np.isin(scored.enrol_speakers, ["s0", "s1"]) & np.isin(
        scored.test_speakers, ["s0", "s1"]
    )
    few = measure_subset(Subset("f", "", both), scored)
    assert few.why_not == (
        "20 target pairs, 30 needed; 25 non-target pairs, 30 needed; 2 speakers, 5 needed"
    )
    nothing = measure_subset(Subset("n", "", np.zeros(len(scored.scores), dtype=bool)), scored)
    assert (nothing.pairs, nothing.miss, nothing.eer) == (0, None, None)
    assert nothing.why_not == "no pair"


def test_the_worst_speaker_is_the_one_who_is_missed():
    scored = verified()
    worst, ranked = find_worst_speakers(scored, 3)
    assert ranked == 8
    assert [len(worst), worst[0].speaker] == [3, "s7"]
    goat = worst[0]
    mine = (scored.enrol_speakers == "s7") | (scored.test_speakers == "s7")
    assert (goat.targets, goat.non_targets) == (10, 175)
    below = scored.scores < scored.threshold
    assert goat.miss == pytest.approx(below[mine & scored.targets].mean())
    assert goat.false_alarm == pytest.approx(1 - below[mine & ~scored.targets].mean())
    all_misses = (below & scored.targets).sum()
    assert goat.share_of_misses == pytest.approx((below & scored.targets & mine).sum() / all_misses)
    assert worst[0].miss + worst[0].false_alarm >= worst[1].miss + worst[1].false_alarm


def test_a_speaker_with_few_pairs_is_not_ranked():
    scored = verified()
    keep = ~scored.targets | (scored.enrol_speakers != "s7")
    keep |= np.arange(len(keep)) == np.flatnonzero(~keep)[0]
    worst, ranked = find_worst_speakers(scored.select(keep), 10)
    assert ranked == 7
    assert "s7" not in [each.speaker for each in worst]
