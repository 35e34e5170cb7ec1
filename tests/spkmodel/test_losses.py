"""Every loss keeps one contract; each agrees with its definition and with values worked by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from spkmodel import config as c
from spkmodel import losses

FAMILY = {
    "softmax": c.Softmax(),
    "am_softmax": c.AMSoftmax(),
    "aam_softmax": c.AAMSoftmax(),
    "angular_prototypical": c.AngularPrototypical(),
    **{
        f"triplet-{mining}-{distance}-{'unit' if normalise else 'raw'}": c.Triplet(
            mining=mining, distance=distance, normalise=normalise
        )
        for mining in ("batch_all", "batch_hard", "batch_semi_hard")
        for distance in ("euclidean", "squared", "cosine")
        for normalise in (True, False)
    },
    "combined": c.Combined(
        terms=(c.Weighted(loss=c.AAMSoftmax()), c.Weighted(loss=c.Triplet(), weight=0.5))
    ),
}
SPEAKERS = torch.arange(4).repeat_interleave(3)


@pytest.fixture(params=FAMILY)
def member(request):
    return FAMILY[request.param]


def drawn(seed=0, rows=12, dim=6):
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))


# --- every loss ------------------------------------------------------------------------------


def built(config, dim=6, speakers=4):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return losses.build(config, embedding_dim=dim, speakers=speakers)


def gradients(loss, embeddings):
    embeddings = embeddings.clone().requires_grad_()
    output = loss(embeddings, SPEAKERS)
    output.loss.backward()
    own = [weight.grad for weight in loss.parameters()]
    assert all(gradient is not None for gradient in own)
    return output, [embeddings.grad, *own]


def test_a_loss_is_finite_has_gradients_and_reports_figures_without_any(member):
    output, found = gradients(built(member), drawn())
    assert torch.isfinite(output.loss)
    assert output.loss > 0
    assert all(torch.isfinite(gradient).all() for gradient in found)
    assert found[0].abs().sum() > 0
    assert not any(part.requires_grad for part in output.parts.values())


@pytest.mark.parametrize("row", [[1.0] * 6, [0.3, 0, 0, 0, 0, 0], [0.0] * 6])
def test_gradients_stay_finite_when_all_embeddings_are_equal(member, row):
    output, found = gradients(built(member), torch.tensor([row]).expand(12, 6))
    assert torch.isfinite(output.loss)
    assert all(torch.isfinite(gradient).all() for gradient in found)


def test_a_loss_goes_by_the_labels_and_not_by_the_order_of_rows(member):
    loss, embeddings = built(member), drawn()
    order = torch.tensor(
        [9, 0, 3, 1, 10, 4, 6, 2, 5, 7, 11, 8]
    )  # first of each speaker stays first
    expected = loss(embeddings, SPEAKERS).loss
    assert loss(embeddings[order], SPEAKERS[order]).loss.item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def step(tensors, length):
    with torch.no_grad():
        for tensor in tensors:
            tensor -= length * tensor.grad / tensor.grad.norm().clamp(min=1e-9)
            tensor.grad = None


def test_a_loss_falls_when_it_is_followed_downhill(member):
    loss, embeddings = built(member), drawn().requires_grad_()
    before = loss(embeddings, SPEAKERS)
    for _ in range(20):
        loss(embeddings, SPEAKERS).loss.backward()
        step([embeddings, *loss.parameters()], length=0.2)
    after = loss(embeddings, SPEAKERS)
    if member.kind == "triplet" and member.mining == "batch_all":
        # Its mean is over the active triplets and need not fall while they become fewer.
        name = "active_triplet_fraction"
        assert after.parts[name] < before.parts[name]
    else:
        assert after.loss < before.loss


@pytest.mark.parametrize(
    ("config", "figures"),
    [
        (c.Softmax(), {"accuracy"}),
        (c.AMSoftmax(), {"accuracy", "margin"}),
        (c.AAMSoftmax(), {"accuracy", "margin_rad"}),
        (c.AngularPrototypical(), {"accuracy"}),
        (c.Triplet(), {"active_triplet_fraction", "margin"}),
        (
            c.Combined(),
            {"accuracy", "active_triplet_fraction", "margin", "softmax_loss", "triplet_loss"},
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_the_figures_of_a_loss_have_the_documented_names(config, figures):
    assert set(built(config)(drawn(), SPEAKERS).parts) == figures


# --- classification --------------------------------------------------------------------------

HAND_EMBEDDINGS = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]])
HAND_CLASSES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])


def by_hand(loss):
    with torch.no_grad():
        loss.weight.copy_(HAND_CLASSES)
    return loss(HAND_EMBEDDINGS, torch.arange(3)).loss.item()


@pytest.mark.parametrize(
    ("margin", "scale", "expected"), [(0.3, 30.0, 14.016196), (0.1, 30.0, 11.016196)]
)
def test_am_softmax_has_the_values_worked_by_hand(margin, scale, expected):
    assert by_hand(built(c.AMSoftmax(margin=margin, scale=scale), 2, 3)) == pytest.approx(
        expected, abs=2e-6
    )


@pytest.mark.parametrize(
    ("margin_rad", "scale", "expected"),
    [
        (0.3, 30.0, 13.257805),
        (0.2, 30.0, 12.031219),
        (0.2, 32.0, 12.825222),
        (0.1, 30.0, 11.003906),
    ],
)
def test_aam_softmax_has_the_values_worked_by_hand(margin_rad, scale, expected):
    assert by_hand(built(c.AAMSoftmax(margin_rad=margin_rad, scale=scale), 2, 3)) == pytest.approx(
        expected, abs=2e-6
    )


def test_without_a_margin_both_margin_losses_are_the_scaled_cosine_softmax():
    am, aam = built(c.AMSoftmax(margin=0)), built(c.AAMSoftmax(margin_rad=0))
    aam.load_state_dict(am.state_dict())
    logits = 30 * F.normalize(drawn()) @ F.normalize(am.weight).T
    expected = F.cross_entropy(logits, SPEAKERS).item()
    assert am(drawn(), SPEAKERS).loss.item() == pytest.approx(expected, rel=1e-5)
    assert aam(drawn(), SPEAKERS).loss.item() == pytest.approx(expected, rel=1e-5)


def test_aam_softmax_costs_more_at_every_wider_angle_up_to_pi():
    loss = built(c.AAMSoftmax(margin_rad=0.5), 2, 2)
    with torch.no_grad():
        loss.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    angles = torch.linspace(0, math.pi, 100, dtype=torch.float64).float()
    costs = [
        loss(torch.tensor([[math.cos(a), math.sin(a)]]), torch.tensor([0])).loss.item()
        for a in angles.tolist()
    ]
    assert costs == sorted(costs)
    assert costs[-1] == pytest.approx(30 * (1 + 0.5 * math.sin(0.5)), rel=1e-4)


def test_the_accuracy_of_a_margin_loss_is_that_without_the_margin():
    loss = built(c.AMSoftmax(margin=0.9), 2, 3)
    with torch.no_grad():
        loss.weight.copy_(HAND_CLASSES)
    # Only the third is nearer to another class than to its own.
    accuracy = loss(HAND_EMBEDDINGS, torch.arange(3)).parts["accuracy"]
    assert accuracy.item() == pytest.approx(2 / 3)


# --- angular prototypical --------------------------------------------------------------------


def test_two_orthogonal_speakers_of_identical_utterances_cost_what_was_worked_by_hand():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    output = built(c.AngularPrototypical())(embeddings, torch.tensor([5, 5, 2, 2]))
    expected = -math.log(math.exp(5) / (math.exp(5) + math.exp(-5)))
    assert output.loss.item() == pytest.approx(expected, abs=1e-7)
    assert output.parts["accuracy"] == 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), extra=st.lists(st.integers(0, 2), max_size=4))
def test_the_prototype_is_the_mean_of_all_utterances_but_the_first(seed, extra):
    speakers = torch.tensor([0, 0, 1, 1, 2, 2, *extra])
    speakers = speakers[
        torch.randperm(len(speakers), generator=torch.Generator().manual_seed(seed))
    ]
    embeddings = drawn(seed, rows=len(speakers))
    rows = [embeddings[speakers == speaker] for speaker in range(3)]
    queries = torch.stack([own[0] for own in rows])
    prototypes = torch.stack([own[1:].mean(dim=0) for own in rows])
    cosines = F.cosine_similarity(queries[:, None], prototypes[None], dim=2)
    expected = F.cross_entropy(10 * cosines - 5, torch.arange(3)).item()
    loss = built(c.AngularPrototypical())(embeddings, speakers).loss.item()
    assert loss == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_scale_starts_where_it_should_and_no_step_makes_it_negative():
    loss = built(c.AngularPrototypical(initial_scale=0.5))
    assert loss.line.scale.item() == pytest.approx(0.5)
    swapped = torch.tensor(
        [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    )  # a small scale is best
    for _ in range(5):
        loss(swapped, torch.tensor([0, 0, 1, 1])).loss.backward()
        step(loss.parameters(), length=5)
        assert loss.line.scale > 0
    assert loss.line.scale_before_softplus < 0


def test_a_speaker_with_one_utterance_is_refused_by_the_prototypical_loss():
    with pytest.raises(ValueError, match="got 1 of speaker 7"):
        built(c.AngularPrototypical())(drawn(rows=3), torch.tensor([4, 4, 7]))


# --- triplets --------------------------------------------------------------------------------

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


def written_out(embeddings, speakers, margin, distance, normalise):
    """(batch_all, batch_hard) losses of one batch, a triplet at a time."""
    if normalise:
        embeddings = F.normalize(embeddings)

    def between(a, b):
        if distance == "cosine":
            return 1 - F.cosine_similarity(embeddings[a], embeddings[b], dim=0).item()
        euclidean = (embeddings[a] - embeddings[b]).norm().item()
        return euclidean if distance == "euclidean" else euclidean**2

    count = range(len(speakers))
    every, hard = [], []
    for a in count:
        positives = [between(a, p) for p in count if p != a and speakers[p] == speakers[a]]
        negatives = [between(a, n) for n in count if speakers[n] != speakers[a]]
        every += [max(0, p - n + margin) for p in positives for n in negatives]
        if positives and negatives:
            hard.append(max(0, max(positives) - min(negatives) + margin))
    active = [loss for loss in every if loss > 1e-16]
    return sum(active) / max(1, len(active)), sum(hard) / max(1, len(hard))


@settings(max_examples=20, deadline=None)
@given(
    speakers=st.lists(st.integers(0, 3), min_size=1, max_size=8),
    seed=st.integers(0, 10_000),
    margin=st.sampled_from([0.0, 0.3, 2.0]),
    distance=st.sampled_from(["euclidean", "squared", "cosine"]),
    normalise=st.booleans(),
)
def test_triplet_losses_agree_with_the_definition_written_out(
    speakers, seed, margin, distance, normalise
):
    embeddings = drawn(seed, rows=len(speakers), dim=3).double()
    found = [
        built(c.Triplet(margin=margin, mining=mining, distance=distance, normalise=normalise))(
            embeddings, torch.tensor(speakers)
        ).loss.item()
        for mining in ("batch_all", "batch_hard")
    ]
    expected = written_out(embeddings, speakers, margin, distance, normalise)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("mining", ["batch_all", "batch_hard", "batch_semi_hard"])
@pytest.mark.parametrize("speakers", [[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_batch_with_nothing_left_to_teach_costs_0_and_still_has_a_gradient(mining, speakers):
    embeddings = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]], requires_grad=True)
    output = built(c.Triplet(margin=0.3, mining=mining))(embeddings, torch.tensor(speakers))
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


def test_the_combined_loss_is_the_classification_plus_the_weighted_triplet_loss():
    output = built(
        c.Combined(terms=(c.Weighted(loss=c.Softmax()), c.Weighted(loss=c.Triplet(), weight=2.5)))
    )(drawn(), SPEAKERS)
    parts = output.parts
    assert output.loss.item() == pytest.approx(
        (parts["softmax_loss"] + 2.5 * parts["triplet_loss"]).item()
    )
    alone = built(c.Triplet())(drawn(), SPEAKERS)
    assert parts["triplet_loss"] == alone.loss
    assert parts["active_triplet_fraction"] == alone.parts["active_triplet_fraction"]
