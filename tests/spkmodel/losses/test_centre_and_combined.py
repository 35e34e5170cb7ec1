"""Centres that follow their utterances, and sums of losses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spkmodel import config as c
from tests.support.models.loss_family import FAMILY, SPEAKERS, built, combined, drawn


def test_the_centre_loss_is_half_the_mean_squared_distance_to_centres_that_start_at_0():
    output = built(c.Centre())(drawn(), SPEAKERS)
    assert output.loss.item() == pytest.approx(drawn().square().sum(dim=1).mean().item() / 2)
    expected = drawn().norm(dim=1).mean().item()
    assert output.parts["centre_distance"].item() == pytest.approx(expected)


def test_a_centre_moves_as_worked_by_hand():
    loss = built(c.Centre(centre_rate=0.5), dim=1, speakers=3)
    loss(torch.tensor([[3.0], [6.0], [4.0]]), torch.tensor([0, 0, 2]))
    # Speaker 0: 0.5 (3 + 6) / (1 + 2); speaker 2: 0.5 x 4 / (1 + 1); speaker 1 is not there.
    assert loss.centres[:, 0].tolist() == [1.5, 0, 1]


@settings(max_examples=15, deadline=None)
@given(speakers=st.lists(st.integers(0, 3), min_size=1, max_size=9), seed=st.integers(0, 10_000))
def test_centres_agree_with_the_paper_written_out(speakers, seed):
    loss = built(c.Centre(centre_rate=0.3), dim=3)
    centres = torch.zeros(4, 3)
    for batch in range(3):
        embeddings = drawn(seed + batch, rows=len(speakers), dim=3)
        squared = [
            (x - centres[s]).square().sum() for x, s in zip(embeddings, speakers, strict=True)
        ]
        found = loss(embeddings, torch.tensor(speakers)).loss.item()
        assert found == pytest.approx((sum(squared) / len(squared) / 2).item(), rel=1e-5)
        moved = centres.clone()
        for speaker in set(speakers):
            own = [x for x, s in zip(embeddings, speakers, strict=True) if s == speaker]
            change = sum(centres[speaker] - x for x in own) / (1 + len(own))  # eq. 4
            moved[speaker] = centres[speaker] - 0.3 * change
        centres = moved
        torch.testing.assert_close(loss.centres, centres)


def test_centres_stay_where_they_are_in_evaluation_and_have_no_gradient():
    loss = built(c.Centre()).eval()
    loss(drawn(), SPEAKERS)
    assert loss.centres.abs().sum() == 0
    assert list(loss.parameters()) == []
    assert "centres" in loss.state_dict()


def test_a_combined_loss_is_the_weighted_sum_of_its_terms_under_names_of_their_own():
    terms = [(FAMILY[name], 0.5 + place) for place, name in enumerate(FAMILY) if name != "combined"]
    loss = built(combined(*terms))
    output = loss(drawn(), SPEAKERS)
    assert len(set(loss.names)) == len(terms)
    expected = sum(
        weight * output.parts[f"{name}_loss"].item()
        for (_, weight), name in zip(terms, loss.names, strict=True)
    )
    assert output.loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_terms_are_the_losses_themselves():
    parts = built(combined((c.Softmax(), 1), (c.Triplet(), 2.5)))(drawn(), SPEAKERS).parts
    alone = built(c.Triplet())(drawn(), SPEAKERS)
    assert parts["triplet_loss"] == alone.loss
    assert parts["active_triplet_fraction"] == alone.parts["active_triplet_fraction"]
    classified = built(c.Softmax())(drawn(), SPEAKERS)
    assert parts["softmax_loss"] == classified.loss
    assert parts["accuracy"] == classified.parts["accuracy"]


def test_the_weight_of_a_term_scales_its_gradient():
    def gradient(config):
        embeddings = drawn().requires_grad_()
        built(config)(embeddings, SPEAKERS).loss.backward()
        return embeddings.grad

    found = gradient(combined((c.Softmax(), 1), (c.Triplet(), 2.5)))
    torch.testing.assert_close(found, gradient(c.Softmax()) + 2.5 * gradient(c.Triplet()))
