"""The networks of voxceleb_trainer: embeddings of its own code, what is refused, what is built."""

import math

import pytest
import torch

from spkmodel.config import (
    LinearMel,
    LogMel,
    RawNet3,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    VGGVox,
)
from spkmodel.nn import encoders
from spkmodel.nn.encoders import vgg_vox
from spkmodel.nn.encoders.raw_net3 import FeatureMapScaling
from spkmodel.nn.encoders.sinc import SincFilters
from tests.support.models import formula_weights
from tests.support.models.trainer_networks import RAW, RESNET, SMALL, V2

WIDTHS = {"channels": (8, 8, 16, 24), "blocks": (1, 1, 1, 1), "embedding_dim": 6}
V2_MELS = LogMel(mels=24, normalisation="instance", pre_emphasis=0.97)
PUBLISHED = {
    "34l_sap": ResNetSE34L(**WIDTHS, pooling="sap"),
    "34l_asp": ResNetSE34L(**WIDTHS, pooling="asp"),
    "34l_linear": ResNetSE34L(**WIDTHS, features=LinearMel()),
    "v2_sap": ResNetSE34V2(**WIDTHS, pooling="sap", features=V2_MELS),
    "v2_asp": ResNetSE34V2(**WIDTHS, pooling="asp", features=V2_MELS),
    "vgg_sap": VGGVox(embedding_dim=6, pooling="sap"),
    "vgg_tap": VGGVox(embedding_dim=6, pooling="mean"),
    "vgg_max": VGGVox(embedding_dim=6, pooling="max"),
    "raw_eca": RawNet3(channels=64, embedding_dim=6, pooling="eca"),
    "raw_asp": RawNet3(channels=64, embedding_dim=6, pooling="asp"),
}
# Measured with clovaai/voxceleb_trainer at f51bab8 and asteroid-filterbanks 0.4.0: its own classes
# at these widths, in evaluation, with the weights of `formula_weights` under our names for them.
EMBEDDINGS = {
    "34l_sap": [
        [1.233786, -1.405653, 0.806946, -0.252172, 0.075545, 1.848669],
        [1.987731, -1.984733, 0.926682, -0.323013, -0.029371, 2.670238],
    ],
    "34l_asp": [
        [0.591565, 0.335308, 0.548676, -0.708149, 0.014629, 0.946196],
        [1.040477, 0.338674, 0.57874, -0.953071, 0.153676, 1.234143],
    ],
    "34l_linear": [
        [1.121135, -1.326217, 0.793902, -0.250329, 0.103855, 1.738363],
        [2.058205, -2.038718, 0.965664, -0.357799, -0.01942, 2.766506],
    ],
    "v2_sap": [
        [0.401334, 0.046077, -0.31366, -1.56371, -0.80906, 1.444331],
        [0.568814, 0.024381, -0.509576, -1.733, -0.823549, 1.699423],
    ],
    "v2_asp": [
        [0.498177, -1.136278, -0.024502, 1.000819, -0.598424, -0.51598],
        [0.430411, -1.247043, 0.084457, 1.312611, -0.963353, -0.200651],
    ],
    "vgg_sap": [
        [2.741803, -3.576862, 3.417817, -3.55046, 3.468521, -3.018217],
        [3.115171, -4.077194, 3.624906, -3.970652, 3.995724, -3.344218],
    ],
    "vgg_tap": [
        [2.744655, -3.578592, 3.42309, -3.553839, 3.469977, -3.021497],
        [3.115633, -4.077223, 3.625922, -3.971114, 3.995919, -3.344516],
    ],
    "vgg_max": [
        [2.986065, -3.808549, 3.631142, -3.728713, 3.627661, -3.269808],
        [3.354411, -4.317743, 3.811194, -4.155258, 4.179162, -3.667345],
    ],
    "raw_eca": [
        [-0.189902, 0.576402, -1.563658, -3.324841, -4.684579, -2.811113],
        [0.981635, 1.717565, -0.490824, -2.640495, -4.373738, -2.398342],
    ],
    "raw_asp": [
        [-0.162607, 0.589492, -1.549466, -3.298522, -4.676056, -2.844866],
        [0.909843, 1.644195, -0.57871, -2.646032, -4.388499, -2.498107],
    ],
}


def seeded(config) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return encoders.build(config)


@pytest.mark.parametrize("name", PUBLISHED)
def test_embeddings_are_those_of_the_trainers_own_code(name):
    encoder = formula_weights.fill(encoders.build(PUBLISHED[name]))
    with torch.no_grad():
        embeddings = encoder(formula_weights.voice())
    torch.testing.assert_close(embeddings, torch.tensor(EMBEDDINGS[name]), atol=1e-4, rtol=1e-5)


def test_half_is_34l_at_its_own_widths():
    half = formula_weights.fill(encoders.build(ResNetSE34Half(**WIDTHS)))
    lite = formula_weights.fill(encoders.build(ResNetSE34L(**WIDTHS)))
    with torch.no_grad():
        assert torch.equal(half(formula_weights.voice()), lite(formula_weights.voice()))


@pytest.mark.parametrize(
    ("mels", "remedy"), [(44, "40 or 48"), (255, "248 or 256"), (9, "8 or 16")]
)
def test_v2_refuses_bands_that_do_not_halve_three_times(mels, remedy):
    expected = rf"encoder\.features\.mels must be divisible by 8 .* got {mels}; set it to {remedy}"
    with pytest.raises(ValueError, match=expected):
        ResNetSE34V2(features=LogMel(mels=mels))


@pytest.mark.parametrize("mels", [8, 40, 104])
def test_v2_runs_with_any_number_of_bands_that_do(mels):
    encoder = seeded(ResNetSE34V2(**V2, features=LogMel(mels=mels)))
    assert encoder(formula_weights.voice(3_200)).shape == (2, 16)


def test_vgg_vox_refuses_another_number_of_bands():
    with pytest.raises(ValueError, match=r"encoder\.features\.mels must be 40 .* got 64"):
        VGGVox(features=LogMel(mels=64))


def test_vgg_vox_refuses_a_missing_convolution():
    with pytest.raises(ValueError, match="each of the 6 convolutions"):
        VGGVox(channels=(8,) * 5)


@pytest.mark.parametrize(("channels", "scale", "step"), [(20, 4, 8), (24, 16, 16), (64, 12, 24)])
def test_raw_net3_refuses_channels_that_do_not_split(channels, scale, step):
    expected = rf"scale={scale}, got {channels}; set it to a multiple of {step}"
    with pytest.raises(ValueError, match=rf"encoder\.channels must be divisible by 8 .*{expected}"):
        RawNet3(channels=channels, scale=scale)


@pytest.mark.parametrize("kind", [ResNetSE34L, ResNetSE34Half, ResNetSE34V2])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"channels": (8, 8, 8)}, "each of the 4 stages, got 3 and 4"),
        ({"channels": (8, 8, 8, 4)}, "at least 8"),
        ({"blocks": (1, 0, 1, 1)}, "at least 1"),
    ],
)
def test_resnets_refuse_stages_that_cannot_be(kind, fields, words):
    with pytest.raises(ValueError, match=rf"encoder\.channels .*{words}"):
        kind.model_validate(RESNET | fields)


@pytest.mark.parametrize("name", ["vgg_vox_sap", "vgg_vox_tap", "vgg_vox_max"])
def test_a_crop_too_short_for_vgg_vox_is_repeated(name):
    encoder = seeded(SMALL[name]).eval()
    with torch.no_grad():
        assert torch.isfinite(encoder(formula_weights.voice(3_200))).all()


def test_frames_are_repeated_from_their_beginning_and_only_when_they_are_few():
    frames = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert vgg_vox.repeated(frames, 8).tolist() == [[[1, 2, 3, 1, 2, 3, 1, 2]]]
    assert vgg_vox.repeated(frames, 3) is frames


def test_one_frame_of_vgg_vox_takes_63():
    convolutions = seeded(SMALL["vgg_vox_max"]).convolutions.eval()
    assert convolutions(torch.zeros(1, 1, 40, 63)).shape == (1, 8, 1, 1)
    with pytest.raises(RuntimeError):
        convolutions(torch.zeros(1, 1, 40, 62))


def test_sinc_filters_are_windowed_differences_of_two_low_passes():
    filters = SincFilters(8, 251, stride=10)
    low = 50 + filters.low_hz.detach().squeeze(1)
    high = low + 50 + filters.band_hz.detach().squeeze(1)
    seconds = torch.arange(-125, 126) / 16_000
    expected = torch.stack(
        [
            (b * torch.sinc(2 * b * seconds) - a * torch.sinc(2 * a * seconds)) / (b - a)
            for a, b in zip(low, high, strict=True)
        ]
    ) * torch.hamming_window(251, periodic=False)
    torch.testing.assert_close(filters.kernels()[:4, 0], expected, atol=1e-4, rtol=0)


def test_a_sine_of_the_filters_is_its_cosine_a_quarter_turn_later():
    spectra = torch.fft.rfft(SincFilters(8, 251, stride=10).kernels().detach()[:, 0], n=4_096)
    cosines, sines = spectra[:4], spectra[4:]
    peaks = cosines.abs().argmax(dim=1)
    for band, peak in enumerate(peaks):
        turn = torch.angle(sines[band, peak] / cosines[band, peak]).item()
        assert abs(turn) == pytest.approx(math.pi / 2, abs=0.02)
        size = sines[band, peak].abs() / cosines[band, peak].abs()
        assert size.item() == pytest.approx(1, abs=0.02)


def test_sinc_filters_pass_their_own_band():
    filters = SincFilters(16, 251, stride=1)
    low = 50 + filters.low_hz.detach().squeeze(1)
    centre = low + (50 + filters.band_hz.detach().squeeze(1)) / 2
    time = torch.arange(1_600) / 16_000
    tones = torch.sin(2 * math.pi * centre[:, None] * time).unsqueeze(1)
    power = filters(tones).detach().square().mean(dim=2)  # (tone, filter)
    assert (power[:, :8] + power[:, 8:]).argmax(dim=1).tolist() == list(range(8))


def test_feature_maps_are_offset_and_then_scaled_by_gates_of_the_maps_before():
    scaling = FeatureMapScaling(2)
    torch.nn.init.zeros_(scaling.gate.weight)
    scaling.gate.bias.data = torch.tensor([0.0, math.log(3)])
    maps = torch.tensor([[[1.0, 3.0], [7.0, -1.0]]])
    torch.testing.assert_close(scaling(maps), torch.tensor([[[1.0, 2.0], [6.0, 0.0]]]))


def test_raw_net3_learns_its_filters():
    encoder = seeded(RawNet3(**RAW, scale=4))
    encoder(formula_weights.voice(3_200)).square().sum().backward()
    assert encoder.front_end.filters.low_hz.grad.abs().max() > 0
    assert encoder.front_end.norm.weight.grad.abs().max() > 0
