"""The softmax's heads."""

import pytest
import torch
import torch.nn.functional as F

from spkmodel import config as c
from tests.support.models.loss_family import SPEAKERS, built, drawn

DENSE = 6 * 4 + 4  # 6 dimensions, 4 speakers
HIDDEN = 6 * 6 + 6


@pytest.mark.parametrize(
    ("head", "weights"),
    [
        ("dense", DENSE),
        ("act_dense", DENSE),
        ("dense_act_dense", HIDDEN + DENSE),
        ("act_dense_act_dense", HIDDEN + DENSE),
    ],
)
def test_a_head_has_the_dense_layers_of_its_name(head, weights):
    activation = None if head == "dense" else "relu"
    loss = built(c.Softmax(head=head, head_activation=activation))
    assert sum(weight.numel() for weight in loss.parameters()) == weights


def test_the_head_of_entry_116_has_the_weights_that_the_log_implies():
    with torch.device("meta"):
        loss = built(c.Softmax(), dim=512, speakers=5994)
    # 4,325,050 with the OutBlock, 1,250,128 without.
    assert sum(weight.numel() for weight in loss.parameters()) == 4_325_050 - 1_250_128


def test_the_longest_head_is_its_layers_one_after_the_other():
    loss = built(c.Softmax(head="act_dense_act_dense", head_activation="relu"))
    (w1, b1), (w2, b2) = [
        (layer.weight, layer.bias) for layer in loss.head if isinstance(layer, torch.nn.Linear)
    ]
    logits = F.relu(F.relu(drawn()) @ w1.T + b1) @ w2.T + b2
    expected = F.cross_entropy(logits, SPEAKERS).item()
    assert loss(drawn(), SPEAKERS).loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("name", "activation"), [("relu", F.relu), ("swish", F.silu)])
def test_an_act_first_is_on_the_embedding_itself(name, activation):
    loss = built(c.Softmax(head="act_dense", head_activation=name))
    plain = built(c.Softmax())
    plain.load_state_dict(
        {key.replace("head.2", "head.1"): weight for key, weight in loss.state_dict().items()}
    )
    output = loss(drawn(), SPEAKERS).loss
    assert output == plain(activation(drawn()), SPEAKERS).loss
    assert output != plain(drawn(), SPEAKERS).loss


def test_dropout_acts_in_training_only_and_before_the_first_dense_layer():
    loss = built(c.Softmax(head="dense_act_dense", head_activation="relu", head_dropout=0.9))
    assert isinstance(loss.head[0], torch.nn.Dropout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = (loss(drawn(), SPEAKERS).loss for _ in range(2))
    assert first != second
    loss.eval()
    assert loss(drawn(), SPEAKERS).loss == loss(drawn(), SPEAKERS).loss
