"""Triplet losses have the golden values and agree with their definition written out."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from spkmodel import config as c
from tests.support.models.loss_family import SPEAKERS, built, drawn, waves

GOLDEN = torch.tensor([[0.0], [1.0], [3.0], [5.0]])
GOLDEN_SPEAKERS = torch.tensor([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("mining", "margin", "expected", "active"),
    [
        ("batch_all", 0.5, 0.5, 1 / 8),
        ("batch_all", 1.0, 1.0, 1 / 8),
        ("batch_all", 2.0, 4 / 3, 3 / 8),
        ("batch_hard", 0.5, 0.125, 1 / 4),
        ("batch_hard", 1.0, 0.25, 1 / 4),
        ("batch_hard", 2.0, 0.75, 2 / 4),
        ("batch_semi_hard", 2.0, 0.5, 2 / 4),  # active: from 1 (1 - 2 + 2), from 3 (2 - 3 + 2)
    ],
)
def test_triplet_losses_have_the_golden_values(mining, margin, expected, active):
    loss = built(c.Triplet(margin=margin, mining=mining, normalise=False))
    output = loss(GOLDEN, GOLDEN_SPEAKERS)
    assert output.loss.item() == pytest.approx(expected)
    assert output.parts["active_triplet_fraction"].item() == pytest.approx(active)


def test_the_soft_margin_of_entry_127_has_its_golden_value():
    loss = built(c.Triplet(margin=0, mining="batch_hard", form="softplus", normalise=False))
    output = loss(GOLDEN, GOLDEN_SPEAKERS)
    assert output.loss.item() == pytest.approx(0.315066, abs=5e-7)
    # No anchor's positive is farther than its negative: the soft margin only goes on pushing.
    assert output.parts["active_triplet_fraction"] == 0


def test_triplets_without_negatives_of_entry_128_have_their_golden_value():
    loss = built(c.Triplet(margin=0, form="positives_only", normalise=False))
    output = loss(GOLDEN, GOLDEN_SPEAKERS)
    assert output.loss.item() == pytest.approx(1.5)
    assert output.parts["active_triplet_fraction"] == 1


def test_without_negatives_the_mean_is_over_positives_that_are_apart():
    points = torch.tensor([[0.0], [0.0], [3.0], [5.0]])
    loss = built(c.Triplet(margin=0, form="positives_only", normalise=False))
    assert loss(points, GOLDEN_SPEAKERS).loss.item() == pytest.approx(2)


def test_rank_mining_has_the_value_of_voxceleb_trainer():
    """The trainer's (f51bab8), its distance matrix made right: the nearest other speaker, 0.3."""
    config = c.Triplet(
        mining="rank", hard_rank=0, hard_probability=1, distance="squared", margin=0.3
    )
    embeddings = waves(4, 3, 5)[:, :2].reshape(8, 5)
    output = built(config)(embeddings, torch.arange(4).repeat_interleave(2))
    assert output.loss.item() == pytest.approx(0.8532429878841317, rel=1e-9)


def written_out(embeddings, speakers, config):
    """The loss of one batch, a triplet at a time; batch_all or batch_hard."""
    if config.normalise:
        embeddings = F.normalize(embeddings)

    def between(a, b):
        if config.distance == "cosine":
            return 1 - F.cosine_similarity(embeddings[a], embeddings[b], dim=0)
        euclidean = (embeddings[a] - embeddings[b]).norm()
        return euclidean if config.distance == "euclidean" else euclidean**2

    def cost(positive, negative):
        excess = positive - negative + config.margin
        return {
            "hinge": max(0.0, excess.item()),
            "softplus": torch.log1p(excess.exp()).item(),
            "positives_only": positive.item(),
        }[config.form]

    count = range(len(speakers))
    every, hard = [], []
    for a in count:
        positives = [between(a, p) for p in count if p != a and speakers[p] == speakers[a]]
        negatives = [between(a, n) for n in count if speakers[n] != speakers[a]]
        every += [cost(p, n) for p in positives for n in negatives]
        if positives and negatives:
            hard.append(cost(max(positives), min(negatives)))
    if config.mining == "batch_all":
        # A soft margin has no triplet that costs nothing.
        every = [loss for loss in every if loss > 1e-16 or config.form == "softplus"]
        return sum(every) / max(1, len(every))
    return sum(hard) / max(1, len(hard))


@settings(max_examples=40, deadline=None)
@given(
    speakers=st.lists(st.integers(0, 3), min_size=1, max_size=7),
    seed=st.integers(0, 10_000),
    margin=st.sampled_from([0.0, 0.3, 2.0]),
    mining=st.sampled_from(["batch_all", "batch_hard"]),
    distance=st.sampled_from(["euclidean", "squared", "cosine"]),
    form=st.sampled_from(["hinge", "softplus", "positives_only"]),
    normalise=st.booleans(),
)
def test_triplet_losses_agree_with_the_definition_written_out(
    speakers, seed, margin, mining, distance, form, normalise
):
    config = c.Triplet(
        margin=0 if form == "positives_only" else margin,
        mining=mining,
        distance=distance,
        form=form,
        normalise=normalise,
    )
    embeddings = drawn(seed, rows=len(speakers), dim=3).double()
    found = built(config)(embeddings, torch.tensor(speakers)).loss.item()
    assert found == pytest.approx(written_out(embeddings, speakers, config), abs=1e-12)


@pytest.mark.parametrize(
    "mining", ["batch_all", "batch_hard", "batch_semi_hard", "random_semi_hard", "rank"]
)
@pytest.mark.parametrize("speakers", [[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_batch_with_nothing_left_to_teach_costs_0_and_still_has_a_gradient(mining, speakers):
    embeddings = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]], requires_grad=True)
    rank = {"hard_rank": 1, "hard_probability": 0.5} if mining == "rank" else {}
    output = built(c.Triplet(margin=0.3, mining=mining, **rank))(embeddings, torch.tensor(speakers))
    output.loss.backward()
    assert output.loss.item() == 0
    assert embeddings.grad.abs().sum() == 0
    assert output.parts["active_triplet_fraction"] == 0


def test_normalised_triplets_do_not_depend_on_the_length_of_embeddings():
    unit, raw = built(c.Triplet()), built(c.Triplet(normalise=False))
    embeddings = drawn()
    lengths = torch.linspace(0.5, 3, 12)[:, None]
    assert unit(embeddings * lengths, SPEAKERS).loss.item() == pytest.approx(
        unit(embeddings, SPEAKERS).loss.item(), rel=1e-5
    )
    assert raw(embeddings * lengths, SPEAKERS).loss != raw(embeddings, SPEAKERS).loss


@pytest.mark.parametrize("mining", ["random_semi_hard", "rank"])
def test_a_seed_decides_what_a_loss_with_chance_in_it_mines(mining):
    rank = {"hard_rank": 2, "hard_probability": 0.5} if mining == "rank" else {}
    loss = built(c.Triplet(margin=2, mining=mining, **rank))

    def cost(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return loss(drawn(), SPEAKERS).loss.item()

    assert cost(1) == cost(1)
    assert len({cost(seed) for seed in range(5)}) > 1


class LargestTensor(TorchDispatchMode):
    """Remembers how many numbers the largest result of any operation has."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else [result]:
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.numel())
        return result


@pytest.mark.parametrize("form", ["hinge", "softplus", "positives_only"])
def test_batch_all_needs_no_tensor_larger_than_the_matrix_of_distances(form):
    config = c.Triplet(mining="batch_all", form=form, margin=0 if form != "hinge" else 0.3)
    embeddings = drawn(rows=60).requires_grad_()
    speakers = torch.arange(5).repeat_interleave(12)
    with LargestTensor() as seen:
        built(config)(embeddings, speakers).loss.backward()
    assert seen.numbers == 60 * 60
