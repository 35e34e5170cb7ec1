"""A promoted model's two files have to be of one network."""

import pytest
import torch

from search.core.errors import UsageError
from search.models import loader
from tests.support import untrained_search


def promoted(folder, config):
    encoder = untrained_search.random_encoder(4)
    (folder / "encoder.safetensors").write_bytes(loader.serialise_weights(encoder))
    (folder / "config.json").write_text(config.model_dump_json())
    return encoder


def test_a_promoted_folder_gives_the_weights_that_were_saved(tmp_path):
    encoder = promoted(tmp_path, untrained_search.CONFIG)

    loaded = loader.read_promoted(tmp_path, "cpu").encoder.state_dict()

    assert all(torch.equal(loaded[name], saved) for name, saved in encoder.state_dict().items())


def test_a_config_of_another_network_is_told_by_tensor_and_both_shapes(tmp_path):
    config = untrained_search.CONFIG
    wider = config.encoder.model_copy(update={"embedding_dim": config.encoder.embedding_dim * 2})
    promoted(tmp_path, config.model_copy(update={"encoder": wider}))

    with pytest.raises(UsageError) as raised:
        loader.read_promoted(tmp_path, "cpu")

    message = str(raised.value)
    assert "are of two networks" in message
    assert "(32" in message
    assert "(16" in message
    assert "take both files from one promoted model" in message
