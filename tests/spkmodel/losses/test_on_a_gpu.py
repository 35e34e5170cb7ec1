"""Losses on a simulated GPU: all tensors on it, and no operation for which the host would wait."""

import pytest
import torch

from spkmodel import config as c
from spkmodel import losses
from tests.support.models.loss_family import FAMILY
from tests.support.models.simulated_gpu import (
    HostWaits,
    NoHostWaits,
    moved_to_simulated_gpu,
    simulated_gpu,
)

CHANCY = {
    "triplet-random": c.Triplet(mining="random_semi_hard"),
    "triplet-softplus-all": c.Triplet(mining="batch_all", form="softplus", margin=0),
}


@pytest.mark.parametrize("name", [*FAMILY, *CHANCY])
def test_no_loss_makes_the_host_wait_for_a_gpu(name):
    config = (FAMILY | CHANCY)[name]
    loss = losses.build(config, embedding_dim=6, speakers=4, most_utterances=3)
    with simulated_gpu():
        moved_to_simulated_gpu(loss)
        embeddings = torch.randn(12, 6, device="cuda")
        speakers = torch.zeros(12, dtype=torch.long, device="cuda")
        with NoHostWaits():
            output = loss(embeddings, speakers)
        assert output.loss.device.type == "cuda"
        assert all(part.device.type == "cuda" for part in output.parts.values())


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: float(x.sum()),
        lambda x: x.nonzero(),
        lambda x: torch.unique(x),
        lambda x: x[x > 0],
        lambda x: x.__setitem__(x > 0, torch.ones(2, device=x.device)),
        lambda x: x.cpu(),
        lambda x: torch.zeros(3).to(x.device),
    ],
    ids=["item", "nonzero", "unique", "mask", "assignment", "copy_to_host", "copy_to_device"],
)
def test_what_makes_the_host_wait_is_found(wait):
    with simulated_gpu():
        x = torch.randn(3, device="cuda")
        with NoHostWaits(), pytest.raises(HostWaits):
            wait(x)
