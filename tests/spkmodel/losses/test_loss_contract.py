"""Every loss keeps one contract."""

import pytest
import torch

from spkmodel import config as c
from spkmodel import losses
from tests.support.models.loss_family import FAMILY, SPEAKERS, built, combined, drawn, step


@pytest.fixture(params=FAMILY)
def member(request):
    return FAMILY[request.param]


def gradients(loss, embeddings):
    embeddings = embeddings.clone().requires_grad_()
    output = loss(embeddings, SPEAKERS)
    output.loss.backward()
    own = [weight.grad for weight in loss.parameters()]
    assert all(gradient is not None for gradient in own)
    return output, [embeddings.grad, *own]


def test_the_family_has_every_kind_of_loss():
    assert {config.kind for config in FAMILY.values()} == {
        variant.model_fields["kind"].default for variant in c.Loss.__origin__.__args__
    }


def test_a_loss_is_one_finite_number_with_gradients_and_figures_without_any(member):
    output, found = gradients(built(member), drawn())
    assert output.loss.shape == ()
    assert torch.isfinite(output.loss)
    assert output.loss > 0
    assert all(torch.isfinite(gradient).all() for gradient in found)
    assert found[0].abs().sum() > 0
    assert not any(part.requires_grad for part in output.parts.values())
    assert all(part.shape == () for part in output.parts.values())


@pytest.mark.parametrize("row", [[1.0] * 6, [0.3, 0, 0, 0, 0, 0], [0.0] * 6])
def test_gradients_stay_finite_when_all_embeddings_are_equal(member, row):
    output, found = gradients(built(member), torch.tensor([row]).expand(12, 6))
    assert torch.isfinite(output.loss)
    assert all(torch.isfinite(gradient).all() for gradient in found)


def test_a_loss_goes_by_the_labels_and_not_by_the_order_of_rows(member):
    order = torch.tensor(
        [9, 0, 3, 1, 10, 4, 6, 2, 5, 7, 11, 8]
    )  # first of each speaker stays first
    expected = built(member)(drawn(), SPEAKERS).loss
    assert built(member)(drawn()[order], SPEAKERS[order]).loss.item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_under_bfloat16_a_loss_is_that_of_the_rounded_embeddings_in_float32(member):
    rounded = drawn().bfloat16()
    expected = built(member)(rounded.float(), SPEAKERS)
    embeddings = rounded.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = built(member)(embeddings, SPEAKERS)
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert output.loss == expected.loss
    assert torch.isfinite(embeddings.grad).all()
    assert embeddings.grad.abs().sum() > 0


def test_a_speaker_with_one_utterance_is_refused_by_name_or_costs_a_finite_amount(member):
    loss, speakers = built(member, speakers=5), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4])
    if member.kind in ("angular_prototypical", "prototypical", "ge2e"):
        with pytest.raises(ValueError, match=r"at least 2 utterances .* got 1 of speaker 4"):
            loss(drawn(), speakers)
    else:
        assert torch.isfinite(loss(drawn(), speakers).loss)


def test_a_loss_falls_when_it_is_followed_downhill(member):
    loss, embeddings = built(member), drawn().requires_grad_()
    before = loss(embeddings, SPEAKERS)
    for _ in range(20):
        loss(embeddings, SPEAKERS).loss.backward()
        step([embeddings, *loss.parameters()], length=0.2)
    after = loss(embeddings, SPEAKERS)
    if member.kind == "triplet" and member.mining == "batch_all" and member.form == "hinge":
        # Its mean is over the active triplets and need not fall while they become fewer.
        name = "active_triplet_fraction"
        assert after.parts[name] < before.parts[name]
    else:
        assert after.loss < before.loss


def test_what_a_loss_keeps_goes_through_its_state(member):
    loss = built(member)
    for _ in range(2):
        losses.set_epochs(loss, 1.5)
        loss(drawn(), SPEAKERS)
    with torch.random.fork_rng(devices=[]):
        other = losses.build(member, embedding_dim=6, speakers=4)
    other.load_state_dict(loss.state_dict())
    losses.set_epochs(other, 1.5)
    assert other(drawn(), SPEAKERS).loss == loss(drawn(), SPEAKERS).loss


@pytest.mark.parametrize(
    ("config", "figures"),
    [
        (c.Softmax(), {"accuracy"}),
        (c.AMSoftmax(), {"accuracy", "margin"}),
        (c.AAMSoftmax(), {"accuracy", "margin_rad"}),
        (c.SubCentreAAMSoftmax(hard_speakers=1), {"accuracy", "margin_rad"}),
        (c.AngularPrototypical(), {"accuracy"}),
        (c.Prototypical(), {"accuracy"}),
        (c.GE2E(), {"accuracy"}),
        (c.Triplet(), {"active_triplet_fraction", "margin"}),
        (c.Triplet(form="positives_only", margin=0), {"active_triplet_fraction"}),
        (c.Centre(), {"centre_distance"}),
        (
            c.Combined(),
            {"accuracy", "active_triplet_fraction", "margin", "softmax_loss", "triplet_loss"},
        ),
        (
            combined((c.Softmax(), 1), (c.AngularPrototypical(), 1)),
            {
                "accuracy",
                "softmax_loss",
                "angular_prototypical_accuracy",
                "angular_prototypical_loss",
            },
        ),
        (
            combined((c.Triplet(), 1), (c.Triplet(margin=1), 2)),
            {
                "active_triplet_fraction",
                "margin",
                "triplet_loss",
                "triplet_2_active_triplet_fraction",
                "triplet_2_margin",
                "triplet_2_loss",
            },
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_the_figures_of_a_loss_have_the_documented_names(config, figures):
    assert set(built(config)(drawn(), SPEAKERS).parts) == figures
