"""What ECAPA-TDNN, x-vector, ResNet-34 and CAM++ are built of."""

import pytest
import torch

from spkmodel.config import ECAPATDNN, CAMPlusPlus, LogMel, ResNet34, XVector
from spkmodel.nn import encoders
from spkmodel.nn.encoders import cam_plus_plus, ecapa_tdnn
from tests.support.models.field_networks import SMALL


def waveforms(samples: int = 8_000) -> torch.Tensor:
    return 0.1 * torch.randn(4, samples, generator=torch.Generator().manual_seed(3))


def maps(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4))


def seeded(config) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return encoders.build(config)


@pytest.mark.parametrize("name", SMALL)
def test_a_network_and_its_copy_by_state_agree(name):
    first = seeded(SMALL[name])
    first(waveforms()).square().sum().backward()  # the norms have seen something
    second = encoders.build(SMALL[name])
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.eval()(waveforms()), second.eval()(waveforms()))


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_embeddings_point_where_those_of_float32_do(name):
    encoder = seeded(SMALL[name])
    for _ in range(20):  # until the running statistics are those of the data
        encoder(waveforms())
    encoder.eval()
    with torch.no_grad():
        exact = encoder(waveforms())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = encoder(waveforms()).float()
    assert torch.cosine_similarity(exact, rounded).min() > 0.97


@pytest.mark.parametrize("name", SMALL)
def test_a_tenth_of_a_second_is_enough(name):
    embeddings = seeded(SMALL[name])(waveforms(1_600))
    embeddings.sum().backward()
    assert torch.isfinite(embeddings).all()


def test_a_group_of_channels_hears_those_before_it_and_the_last_is_left_alone():
    layers = ecapa_tdnn.Res2Layers(12, scale=4, dilation=2).eval()
    before = layers(maps(1, 12, 9))
    for group in range(4):
        inputs = maps(1, 12, 9)
        inputs[:, 3 * group : 3 * group + 3] += 1
        changed = (layers(inputs) != before).reshape(1, 4, 3, 9).any(dim=(0, 2, 3)).tolist()
        assert changed == [group <= later < 3 or later == group for later in range(4)]
    assert torch.equal(before[:, 9:], maps(1, 12, 9)[:, 9:])


@pytest.mark.parametrize("sum_inputs", [False, True])
def test_a_block_of_ecapa_gets_the_last_output_or_the_sum_of_all(sum_inputs):
    encoder = seeded(SMALL["ecapa_tdnn"].model_copy(update={"sum_inputs": sum_inputs}))
    heard, said = [], []

    def listen(_module, inputs, output) -> None:
        heard.append(inputs[0])
        said.append(output)

    for module in (encoder.first, *encoder.blocks):
        module.register_forward_hook(listen)
    encoder(waveforms())
    for block in range(1, 4):
        expected = sum(said[:block]) if sum_inputs else said[block - 1]
        torch.testing.assert_close(heard[block], expected)


def test_a_frame_of_the_x_vector_has_seen_fifteen():
    layers = seeded(SMALL["x_vector"]).layers.eval()
    assert layers(maps(1, 20, 15)).shape == (1, 12, 1)
    frames = maps(1, 20, 40)
    before = layers(frames)
    frames[:, :, 20] += 1
    changed = (layers(frames) != before).any(dim=1).squeeze(0).nonzero().squeeze(1)
    # Offsets reach 7 frames to either side: -2..2, then steps of 2 and of 3.
    assert before.shape[2] == 26
    assert set(changed.tolist()) <= set(range(20 - 14, 20 + 1))
    assert {6, 20} <= set(changed.tolist())


@pytest.mark.parametrize(("mels", "bands"), [(20, 3), (24, 3), (80, 10)])
@pytest.mark.parametrize("name", ["resnet34", "cam_plus_plus"])
def test_three_halvings_leave_an_eighth_of_the_bands(name, mels, bands):
    config = SMALL[name].model_copy(update={"features": LogMel(mels=mels)})
    encoder = seeded(config)
    image = maps(1, 1, mels, 24)
    if name == "resnet34":
        assert config.pooled_dim == 8 * bands
        assert encoder.stages(encoder.stem(image)).shape == (1, 8, bands, 3)
    else:
        assert encoder.band_head(image).shape == (1, 4, bands, 24)


def test_a_mask_is_read_off_the_utterance_and_the_segment():
    conv = cam_plus_plus.MaskedConv(6, 4, dilation=1, segment_frames=5)
    frames = maps(2, 6, 13)
    masked = conv(frames)
    for start, end in ((0, 5), (5, 10), (10, 13)):
        context = frames.mean(dim=2) + frames[:, :, start:end].mean(dim=2)
        mask = conv.mask(context.unsqueeze(2))
        torch.testing.assert_close(
            masked[:, :, start:end], conv.local(frames)[:, :, start:end] * mask
        )


def test_a_dense_layer_keeps_what_it_was_given():
    layer = cam_plus_plus.DenseLayer(torch.nn.Conv1d(3, 2, 1))
    assert torch.equal(layer(maps(1, 3, 4))[:, :3], maps(1, 3, 4))


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        (ECAPATDNN, {"channels": 100}, "set it to 104 or 96"),
        (ECAPATDNN, {"channels": 4, "scale": 8}, "set it to 8 "),
        (ECAPATDNN, {"dilations": (2, 0)}, "positive dilations"),
        (ECAPATDNN, {"summary_dim": 10, "pooling": {"kind": "multi_head", "heads": 4}}, "divide"),
        (XVector, {"summary_dim": 10, "pooling": {"kind": "multi_head", "heads": 4}}, "divide"),
        (ResNet34, {"channels": (32, 64)}, "one number for each of the 4 stages"),
        (ResNet34, {"blocks": (3, 4, 0, 3)}, "must be positive"),
        (CAMPlusPlus, {"blocks": (12, 24)}, "for each block"),
        (CAMPlusPlus, {"dilations": (1, 0, 2)}, "positive dilations"),
    ],
)
def test_widths_that_do_not_fit_are_refused_with_what_would(kind, fields, says):
    with pytest.raises(ValueError, match=says):
        kind.model_validate(fields)
