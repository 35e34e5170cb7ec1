"""Losses that compare a batch's speakers with their own other utterances."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from spkmodel import config as c
from tests.support.models.loss_family import SPEAKERS, built, combined, drawn, step, waves

VOICES = waves(4, 3, 5)  # speakers, utterances, dimensions


def of_each(utterances):
    """So many utterances of the 4 speakers, as rows, and their speakers."""
    rows = VOICES[:, :utterances].reshape(-1, 5)
    return rows, torch.arange(4).repeat_interleave(utterances)


# --- the values of voxceleb_trainer (f51bab8), in float64 --------------------------------------


@pytest.mark.parametrize(
    ("config", "utterances", "expected"),
    [
        (c.AngularPrototypical(), 2, 3.3910124428288793),
        (c.AngularPrototypical(), 3, 3.9652766616941424),
        (c.GE2E(floor_cosines=True), 2, 3.566174005490076),
        (c.GE2E(floor_cosines=True), 3, 2.846220854702349),
        # With its distance matrix made right; as it is, torch 2.11 makes it 1.8284.
        (c.Prototypical(), 3, 1.8521426608412344),
    ],
    ids=["angular-2", "angular-3", "ge2e-2", "ge2e-3", "prototypical-3"],
)
def test_prototypical_losses_have_the_values_of_voxceleb_trainer(config, utterances, expected):
    loss = built(config, dim=5).double()
    assert loss(*of_each(utterances)).loss.item() == pytest.approx(expected, rel=2e-7)


def test_softmax_and_angular_prototypical_have_the_value_of_softmaxproto():
    loss = built(combined((c.Softmax(), 1), (c.AngularPrototypical(), 1)), dim=5).double()
    with torch.no_grad():
        loss.losses[0].head[1].weight.copy_(waves(4, 5, rate=0.53))
        loss.losses[0].head[1].bias.zero_()
    assert loss(*of_each(2)).loss.item() == pytest.approx(5.360252587275939, rel=2e-7)


@pytest.mark.parametrize(
    "config", [c.AngularPrototypical(), c.Prototypical(), c.GE2E(), c.GE2E(form="contrast")]
)
@pytest.mark.parametrize(("speakers", "dim"), [(3, 8), (8, 3)])
def test_more_speakers_than_dimensions_or_fewer_make_no_difference_to_the_shape(
    config, speakers, dim
):
    """voxceleb_trainer's prototypical loss fails at the one and is wrong at the other."""
    labels = torch.arange(speakers).repeat(2)
    output = built(config, dim)(drawn(rows=2 * speakers, dim=dim), labels)
    assert torch.isfinite(output.loss)


# --- angular -----------------------------------------------------------------------------------


def test_two_orthogonal_speakers_of_identical_utterances_cost_what_was_worked_by_hand():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    output = built(c.AngularPrototypical())(embeddings, torch.tensor([5, 5, 2, 2]))
    expected = -math.log(math.exp(5) / (math.exp(5) + math.exp(-5)))
    assert output.loss.item() == pytest.approx(expected, abs=1e-7)
    assert output.parts["accuracy"] == 1


def shuffled(speakers, seed):
    order = torch.randperm(len(speakers), generator=torch.Generator().manual_seed(seed))
    return torch.tensor(speakers)[order]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), extra=st.lists(st.integers(0, 2), max_size=4))
def test_the_prototype_is_the_mean_of_all_utterances_but_the_first(seed, extra):
    speakers = shuffled([0, 0, 1, 1, 2, 2, *extra], seed)
    embeddings = drawn(seed, rows=len(speakers))
    rows = [embeddings[speakers == speaker] for speaker in range(3)]
    queries = torch.stack([own[0] for own in rows])
    prototypes = torch.stack([own[1:].mean(dim=0) for own in rows])
    cosines = F.cosine_similarity(queries[:, None], prototypes[None], dim=2)
    angular = F.cross_entropy(10 * cosines - 5, torch.arange(3)).item()
    loss = built(c.AngularPrototypical())(embeddings, speakers).loss.item()
    assert loss == pytest.approx(angular, rel=1e-4, abs=1e-5)
    squared = (queries[:, None] - prototypes[None]).square().sum(dim=2)
    euclidean = F.cross_entropy(-squared, torch.arange(3)).item()
    loss = built(c.Prototypical())(embeddings, speakers).loss.item()
    assert loss == pytest.approx(euclidean, rel=1e-4, abs=1e-5)


# --- GE2E --------------------------------------------------------------------------------------


def likenesses(embeddings, speakers):
    """Each row's logits, an utterance and a speaker at a time (Wan et al. 2018, eq. 9)."""
    table = []
    for row, speaker in enumerate(speakers.tolist()):
        logits = []
        for other in range(3):
            kept = [k for k, s in enumerate(speakers.tolist()) if s == other and k != row]
            centroid = embeddings[kept].mean(dim=0)
            cosine = F.cosine_similarity(embeddings[row], centroid, dim=0)
            logits.append(10 * cosine - 5)
        table.append((torch.stack(logits), speaker))
    return table


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), extra=st.lists(st.integers(0, 2), max_size=4))
def test_ge2e_agrees_with_the_definition_written_out(seed, extra):
    speakers = shuffled([0, 0, 1, 1, 2, 2, *extra], seed)
    embeddings = drawn(seed, rows=len(speakers)).double()
    table = likenesses(embeddings, speakers)
    entropies = [-logits[own] + logits.logsumexp(dim=0) for logits, own in table]
    contrasts = [
        1 - logits[own].sigmoid() + max(logits[k].sigmoid() for k in range(3) if k != own)
        for logits, own in table
    ]
    for form, costs in (("softmax", entropies), ("contrast", contrasts)):
        found = built(c.GE2E(form=form)).double()(embeddings, speakers).loss.item()
        assert found == pytest.approx(torch.stack(costs).mean().item(), rel=1e-5)


def test_the_floor_lets_go_of_an_utterance_that_points_away_from_its_own():
    """So the paper's form is the default: there it is pulled back."""
    rows = torch.tensor([[1.0, 0.2], [-1.0, 0.1], [0.0, -1.0], [0.1, -1.0]])
    speakers = torch.tensor([0, 0, 1, 1])

    def pull(floor):
        embeddings = rows.clone().requires_grad_()
        built(c.GE2E(floor_cosines=floor))(embeddings, speakers).loss.backward()
        return embeddings.grad[:2].abs().sum().item()

    assert pull(floor=True) == 0
    assert pull(floor=False) > 1


# --- what is learned ---------------------------------------------------------------------------


@pytest.mark.parametrize("config", [c.AngularPrototypical, c.GE2E])
def test_the_scale_starts_where_it_should_and_no_step_makes_it_negative(config):
    loss = built(config(initial_scale=0.5))
    assert loss.line.scale.item() == pytest.approx(0.5)
    swapped = torch.tensor(
        [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    )  # a small scale is best
    for _ in range(5):
        loss(swapped, torch.tensor([0, 0, 1, 1])).loss.backward()
        step(loss.parameters(), length=5)
        assert loss.line.scale > 0
    assert loss.line.scale_before_softplus < 0


@pytest.mark.parametrize("config", [c.AngularPrototypical(), c.GE2E(), c.GE2E(form="contrast")])
@pytest.mark.parametrize("thrown_to", [-1e4, -1e30, 1e4])
def test_the_scale_survives_an_optimiser_gone_wild(config, thrown_to):
    loss = built(config)
    with torch.no_grad():
        loss.line.scale_before_softplus.fill_(thrown_to)
    output = loss(drawn(), SPEAKERS)
    output.loss.backward()
    assert loss.line.scale > 0
    assert torch.isfinite(output.loss)
    assert torch.isfinite(loss.line.scale_before_softplus.grad)


@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0, 200.0])
def test_the_scale_is_what_was_asked_for(scale):
    loss = built(c.GE2E(initial_scale=scale))
    assert loss.line.scale.item() == pytest.approx(scale, rel=1e-5)
