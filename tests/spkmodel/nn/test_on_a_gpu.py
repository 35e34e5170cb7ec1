"""Encoders on a simulated GPU: all tensors on it, and nothing for which the host would wait."""

import pytest
import torch

from spkmodel.config import TDNN, LogMel, SpecAugment
from spkmodel.nn import encoders
from tests.spkmodel.nn.test_encoders import SMALL
from tests.support.models.simulated_gpu import NoHostWaits, moved_to_simulated_gpu, simulated_gpu

MASKED = {"tdnn_masked": TDNN(channels=8, features=LogMel(spec_augment=SpecAugment()))}


@pytest.mark.parametrize("name", SMALL | MASKED)
def test_no_encoder_makes_the_host_wait_for_a_gpu(name):
    encoder = encoders.build((SMALL | MASKED)[name])
    with simulated_gpu():
        moved_to_simulated_gpu(encoder)
        waveforms = torch.randn(4, 8_000, device="cuda")
        with NoHostWaits():
            for mode in (encoder.train(), encoder.eval()):
                assert mode(waveforms).device.type == "cuda"
