"""Mean subtraction and cohorts, against the same told step by step."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spkmodel.data.lists import Pair
from spkmodel.verification.back_end import BackEnd, mean_of, speaker_cohort, utterance_cohort
from spkmodel.verification.scoring import Collapsed, score_pairs

TOP = 3


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + 0.7


@pytest.fixture
def embeddings():
    return {f"u{n}": embedding for n, embedding in enumerate(drawn(8, 5, seed=0))}


@pytest.fixture
def training():
    """Six speakers of one to six utterances."""
    names = [f"s{speaker}-{n}" for speaker in range(6) for n in range(speaker + 1)]
    return dict(zip(names, drawn(len(names), 5, seed=1), strict=True))


@pytest.fixture
def pairs():
    random = np.random.default_rng(2)
    return [Pair(a == b, f"u{a}", f"u{b}") for a, b in random.integers(8, size=(40, 2)).tolist()]


def speaker_of(name):
    return name.partition("-")[0]


def test_without_anything_learnt_scores_are_the_plain_ones(embeddings, pairs):
    assert np.array_equal(BackEnd().score(embeddings, pairs), score_pairs(embeddings, pairs))


def test_the_mean_is_subtracted_before_lengths_are_normalised(embeddings, training, pairs):
    mean = mean_of(training)
    assert mean == pytest.approx(torch.stack(list(training.values())).double().mean(dim=0))
    scores = BackEnd(mean=mean).score(embeddings, pairs)
    expected = [
        float(F.cosine_similarity(embeddings[p.enrolment] - mean, embeddings[p.test] - mean, dim=0))
        for p in pairs
    ]
    assert scores == pytest.approx(expected)


def test_the_mean_is_subtracted_from_every_crop(training, pairs):
    crops = {f"u{n}": embedding for n, embedding in enumerate(drawn(8, 3, 5, seed=3))}
    mean = mean_of(training)
    centred = {name: each.double() - mean for name, each in crops.items()}
    assert BackEnd("crop_distance", mean=mean).score(crops, pairs) == pytest.approx(
        score_pairs(centred, pairs, "crop_distance")
    )


@pytest.mark.parametrize("selection", ["own", "cross"])
@pytest.mark.parametrize("subtract", [True, False])
@pytest.mark.parametrize("of_speakers", [True, False])
def test_as_norm_is_what_its_definition_says(
    embeddings, training, pairs, selection, subtract, of_speakers
):
    mean = mean_of(training) if subtract else torch.zeros(5, dtype=torch.float64)
    if of_speakers:
        cohort = speaker_cohort(training, speaker_of, mean)
        groups = [[n for n in training if speaker_of(n) == f"s{s}"] for s in range(6)]
    else:
        cohort = utterance_cohort(training, mean)
        groups = [[name] for name in training]
    members = [
        torch.stack([training[n] for n in group]).double().mean(0) - mean for group in groups
    ]
    back_end = BackEnd(mean=mean, cohort=cohort, top=TOP, selection=selection)

    def cosine(a, b):
        return float(F.cosine_similarity(a, b, dim=0))

    expected = []
    for pair in pairs:
        e, t = embeddings[pair.enrolment] - mean, embeddings[pair.test] - mean
        of_e = np.array([cosine(e, member) for member in members])
        of_t = np.array([cosine(t, member) for member in members])
        first, second = np.argsort(-of_e)[:TOP], np.argsort(-of_t)[:TOP]
        if selection == "cross":
            first, second = second, first
        z = [
            (cosine(e, t) - of[i].mean()) / of[i].std() for of, i in ((of_e, first), (of_t, second))
        ]
        expected.append(np.mean(z))
    assert back_end.score(embeddings, pairs) == pytest.approx(expected)


def test_a_cohort_takes_the_cosine(training):
    with pytest.raises(ValueError, match="takes the cosine backend, got crop_distance"):
        BackEnd("crop_distance", cohort=utterance_cohort(training), top=2)


def test_a_speaker_whose_embeddings_cancel_is_no_member():
    opposite = {"a-0": torch.ones(3), "a-1": -torch.ones(3), "b-0": torch.ones(3)}
    with pytest.raises(Collapsed, match="'a' is all zero"):
        speaker_cohort(opposite, speaker_of)
