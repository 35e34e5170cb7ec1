"""A training step on a simulated GPU: from the crops to the loss the host waits for nothing."""

import pytest
import torch

from spkmodel import losses
from spkmodel.augment import Augmenter, channel
from spkmodel.augment.noise_and_rooms import open_noise_and_rooms
from spkmodel.config import (
    TDNN,
    AAMSoftmax,
    AngularPrototypical,
    Augment,
    Babble,
    Combined,
    DataPP,
    LogMel,
    SpecAugment,
    Triplet,
)
from spkmodel.core.device_copy import copy_to_device
from spkmodel.nn import encoders
from spkmodel.training.nan_guard import NaNGuard
from tests.support.models.simulated_gpu import NoHostWaits, moved_to_simulated_gpu, simulated_gpu

EVERYTHING = Augment(
    gain_db=3,
    filter_probability=0.5,
    room_probability=0.5,
    noise_probability=0.5,
    babble=Babble(talkers_high=6),
    data_pp=DataPP(),
)
GPU = torch.device("cuda")
SPEAKERS, UTTERANCES, SAMPLES = 8, 2, 8_000


@pytest.fixture(autouse=True)
def no_simulated_tensor_is_cached():
    yield
    channel._interpolation.cache_clear()


@pytest.mark.parametrize(
    "loss", [AAMSoftmax(), AngularPrototypical(), Triplet(), Combined()], ids=lambda loss: loss.kind
)
def test_from_crops_to_loss_the_host_waits_for_nothing(loss):
    sounds = open_noise_and_rooms(None, None, split="train")
    labels = torch.arange(SPEAKERS).repeat_interleave(UTTERANCES)
    drawn = Augmenter(EVERYTHING, sounds).draw(
        (len(labels), SAMPLES), torch.Generator().manual_seed(1), labels
    )
    assert all(
        len(step) for step in (drawn.channel.in_room, drawn.babble.rows, drawn.data_pp.noises)
    )
    config = TDNN(channels=8, features=LogMel(spec_augment=SpecAugment()))
    encoder = encoders.build(config)
    module = losses.build(loss, config.embedding_dim, SPEAKERS, UTTERANCES)
    with simulated_gpu():
        moved_to_simulated_gpu(encoder)
        moved_to_simulated_gpu(module)
        augmenter = Augmenter(EVERYTHING, sounds, GPU)
        guard = NaNGuard(GPU, at_once=False)
        with NoHostWaits():
            crops = copy_to_device(torch.randn(len(labels), SAMPLES), GPU)
            embeddings = encoder(augmenter.apply(crops, drawn))
            output = module(embeddings.float(), copy_to_device(labels, GPU))
            guard.see("the loss", output.loss)
        assert output.loss.device.type == "cuda"
