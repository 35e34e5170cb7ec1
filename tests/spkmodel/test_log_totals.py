"""The log's totals where the classes stand behind the embedding: encoder and head of the loss."""

import pytest
import torch

from spkmodel import encoders, losses
from spkmodel.config import LogNet, Softmax

SWISH = {"head_activation": "swish"}


@pytest.mark.parametrize(
    ("entry", "head", "speakers", "total"),
    [
        ("30", Softmax(head="act_dense", head_dropout=0.5, **SWISH), 512, 1_512_784),
        ("113", Softmax(head="act_dense", **SWISH), 5_994, 4_325_050),
        ("114", Softmax(head="act_dense_act_dense", **SWISH), 5_994, 4_587_706),
        ("115", Softmax(head="dense_act_dense", **SWISH), 5_994, 4_587_706),
        ("116", Softmax(), 5_994, 4_325_050),
        ("118", Softmax(head_dropout=0.9), 5_994, 4_325_050),
    ],
)
def test_encoder_and_head_together_have_the_weights_of_the_entry(entry, head, speakers, total):
    config = LogNet(order="O3" if entry == "30" else "O1")
    with torch.device("meta"):
        loss = losses.build(head, embedding_dim=config.embedding_dim, speakers=speakers)
    of_head = sum(weights.numel() for weights in loss.parameters())
    assert encoders.parameter_count(config) + of_head == total
