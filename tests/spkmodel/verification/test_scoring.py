"""Scores of pairs agree with their definitions; what has no direction is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spkmodel.data.lists import Pair
from spkmodel.verification import scoring
from spkmodel.verification.scoring import Collapsed, require_usable, score_pairs


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def named(embeddings):
    return {f"u{n}": embedding for n, embedding in enumerate(embeddings)}


def some_pairs(utterances, count, seed=0):
    random = np.random.default_rng(seed)
    places = random.integers(utterances, size=(count, 2)).tolist()
    return [Pair(a == b, f"u{a}", f"u{b}") for a, b in places]


def test_cosine_scores_are_in_the_order_of_the_pairs():
    embeddings = named(drawn(7, 5))
    pairs = some_pairs(7, 3000)
    expected = [
        F.cosine_similarity(embeddings[p.enrolment], embeddings[p.test], dim=0).item()
        for p in pairs[:200]
    ]
    scores = score_pairs(embeddings, pairs)
    assert scores.dtype == np.float64
    assert scores.shape == (3000,)
    assert scores[:200] == pytest.approx(expected, abs=1e-6)
    assert scores[2000:] == pytest.approx(score_pairs(embeddings, pairs[2000:]))


def test_the_cosine_of_an_utterance_in_crops_is_that_of_their_mean():
    crops = drawn(4, 3, 5)
    pairs = some_pairs(4, 20)
    assert score_pairs(named(crops), pairs) == pytest.approx(
        score_pairs(named(crops.double().mean(dim=1)), pairs)
    )


def test_crops_of_utterances_may_differ_in_number_for_the_cosine():
    embeddings = {"a": drawn(2, 5), "b": drawn(5), "c": drawn(9, 5)}
    assert len(score_pairs(embeddings, [Pair(True, "a", "b"), Pair(False, "c", "a")])) == 2


def test_the_crop_distance_is_minus_the_mean_distance_of_all_pairs_of_crops():
    crops = named(drawn(4, 3, 5))
    pairs = some_pairs(4, 20)
    expected = [
        -torch.cdist(F.normalize(crops[p.enrolment]), F.normalize(crops[p.test])).mean().item()
        for p in pairs
    ]
    scores = score_pairs(crops, pairs, backend="crop_distance")
    assert scores == pytest.approx(expected, abs=1e-3)  # cdist rounds the distance 0 in float32
    assert scores.min() >= -2


def test_with_one_crop_the_crop_distance_ranks_as_the_cosine_does():
    embeddings, pairs = named(drawn(30, 5)), some_pairs(30, 100)
    cosines = score_pairs(embeddings, pairs)
    distances = score_pairs(embeddings, pairs, backend="crop_distance")
    assert distances == pytest.approx(-np.sqrt(np.maximum(2 - 2 * cosines, 0)), abs=1e-7)


def test_no_pairs_have_no_scores():
    assert score_pairs({}, []).shape == (0,)


def test_an_utterance_without_an_embedding_is_named():
    pairs = [Pair(True, "a", "b"), Pair(False, "c", "a")]
    with pytest.raises(ValueError, match=r"no embedding of utterance 'b' \(2 of the 3"):
        score_pairs({"a": drawn(5)}, pairs)


def test_embeddings_of_different_shapes_are_refused_by_name():
    pairs = [Pair(True, "a", "b")]
    with pytest.raises(ValueError, match=r"\(4,\) for utterance 'b' and \(5,\) for 'a'"):
        score_pairs({"a": drawn(5), "b": drawn(4)}, pairs)
    with pytest.raises(ValueError, match=r"\(2, 5\) for utterance 'b'"):
        score_pairs({"a": drawn(5), "b": drawn(2, 5)}, pairs, backend="crop_distance")
    with pytest.raises(ValueError, match=r"'a' has shape \(2, 2, 5\)"):
        score_pairs({"a": drawn(2, 2, 5), "b": drawn(2, 5)}, pairs)


@pytest.mark.parametrize("backend", ["cosine", "crop_distance"])
@pytest.mark.parametrize(
    ("value", "what"), [(torch.nan, "not finite"), (torch.inf, "not finite"), (0.0, "all zero")]
)
def test_an_embedding_without_a_direction_is_never_scored(backend, value, what):
    embeddings = {"a": drawn(5), "b": torch.full((5,), value)}
    with pytest.raises(Collapsed, match=f"utterance 'b' is {what} \\(1 of 2"):
        score_pairs(embeddings, [Pair(True, "a", "b")], backend=backend)
    with pytest.raises(Collapsed, match=f"utterance 'b' is {what}"):
        require_usable(embeddings)


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-6])
def test_embeddings_equal_up_to_rounding_are_refused(noise):
    collapsed = named(drawn(1, 64) * (1 + noise * drawn(50, 64, seed=1)))
    with pytest.raises(Collapsed, match="all 50 embeddings point in one direction"):
        require_usable(collapsed)


def test_embeddings_that_differ_in_length_only_are_refused():
    with pytest.raises(Collapsed, match="one direction"):
        require_usable(named(drawn(1, 64) * torch.linspace(1, 5, 20)[:, None]))


@pytest.mark.parametrize("offset", [0.0, 1.0, 100.0])
def test_a_network_that_is_merely_bad_passes(offset):
    require_usable(named(drawn(50, 64) + offset))


def test_one_utterance_alone_cannot_be_judged():
    with pytest.raises(ValueError, match="at least 2 utterances, got 1"):
        require_usable({"a": drawn(5)})


def test_a_long_dense_list_has_the_scores_of_a_short_one(monkeypatch):
    embeddings, pairs = named(drawn(60, 8)), some_pairs(60, 500)
    one_by_one = score_pairs(embeddings, pairs)
    monkeypatch.setattr(scoring, "_LONG", 500)
    monkeypatch.setattr(scoring, "_ROWS", 7)
    at_once = score_pairs(embeddings, pairs)
    assert not np.array_equal(at_once, one_by_one)  # another order of the sums: it was taken
    assert at_once == pytest.approx(one_by_one, abs=1e-14)
    assert np.array_equal(score_pairs(embeddings, pairs[1:]), one_by_one[1:])


@pytest.mark.parametrize("dim", [8, 512])
def test_long_lists_of_crops_in_float32_have_the_scores_of_float64(monkeypatch, dim):
    # Of speakers, so that target pairs are near; u0 and u1 are the same crops but for rounding.
    crops = drawn(12, 1, dim) + 0.3 * drawn(12, 4, dim, seed=1)
    crops[1] = crops[0] * 1.5
    embeddings, pairs = named(crops), [*some_pairs(12, 1200), Pair(True, "u0", "u1")]
    in_float32 = score_pairs(embeddings, pairs, "crop_distance")
    monkeypatch.setattr(scoring, "_MANY_CROPPED", 10**9)
    in_float64 = score_pairs(embeddings, pairs, "crop_distance")
    assert not np.array_equal(in_float32, in_float64)  # another precision: it was taken
    assert in_float32 == pytest.approx(in_float64, abs=1e-6)
    assert np.array_equal(in_float32[-1:], in_float64[-1:])


@pytest.mark.parametrize("length", [1e-20, 1e25])
def test_crops_whose_squares_float32_cannot_hold_are_scored_in_float64(length):
    crops = drawn(6, 3, 5).double()
    scaled = named(crops * torch.tensor([1.0, length] * 3)[:, None, None])
    pairs = some_pairs(6, 1500)
    expected = score_pairs(named(crops), pairs, "crop_distance")
    assert score_pairs(scaled, pairs, "crop_distance") == pytest.approx(expected, abs=1e-6)


def test_in_a_long_list_of_crops_too_the_wrong_utterance_is_named():
    embeddings, pairs = named(drawn(6, 3, 5)), some_pairs(6, 1500)
    for value, what in ((torch.nan, "not finite"), (0.0, "all zero")):
        broken = embeddings | {"u4": torch.full((3, 5), value)}
        with pytest.raises(Collapsed, match=f"utterance 'u4' is {what}"):
            score_pairs(broken, pairs, "crop_distance")
    with pytest.raises(ValueError, match=r"\(2, 5\) for utterance 'u4'"):
        score_pairs(embeddings | {"u4": drawn(2, 5)}, pairs, "crop_distance")
