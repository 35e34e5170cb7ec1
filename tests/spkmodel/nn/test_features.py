"""The contracts of the front ends; golden values: `bench.support.published_networks`."""

import pytest
import torch

from bench.support.published_networks import tones
from spkmodel.config import LinearMel, LogMel, RawWaveform
from spkmodel.nn import features

NORMALISATIONS = ("fixed", "level", "mean", "instance")


def noise(batch: int = 3, samples: int = 8_000) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(5))


def log_mel(**fields) -> features.MelFrames:
    front_end = features.build(LogMel(**fields))
    assert isinstance(front_end, features.MelFrames)
    return front_end


def test_pre_emphasis_takes_the_second_sample_as_the_one_before_the_first():
    emphasised = features.pre_emphasise(torch.tensor([[1.0, 4.0, 2.0]]), 0.5)
    assert emphasised.tolist() == [[-1.0, 3.5, 0.0]]


@pytest.mark.parametrize("kind", [LogMel, LinearMel])
def test_pre_emphasis_comes_before_the_spectrogram(kind):
    wave = noise()
    emphasised = features.build(kind(pre_emphasis=0.97))(wave)
    plain = features.build(kind())
    torch.testing.assert_close(emphasised, plain(features.pre_emphasise(wave, 0.97)))
    assert not torch.allclose(emphasised, plain(wave))


def test_linear_mels_are_the_power_and_a_floor():
    front_end = features.build(LinearMel(normalisation="none", floor=0.5))
    torch.testing.assert_close(front_end(noise()), log_mel().power(noise()) + 0.5)


def test_linear_mels_are_normalised_per_band():
    power = log_mel().power(noise())
    mean = features.build(LinearMel(normalisation="mean"))(noise())
    torch.testing.assert_close(mean, power - power.mean(dim=2, keepdim=True), atol=1e-5, rtol=0)
    expected = torch.nn.functional.instance_norm(power + 1e-6, eps=1e-5)
    instance = features.build(LinearMel(normalisation="instance"))(noise())
    torch.testing.assert_close(instance, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("frames", "mel_frames"), [(200, 202), (300, 302), (400, 402)])
def test_centre_padding_gives_two_frames_more_than_the_trainer_counts(frames, mel_frames):
    assert log_mel()(tones(frames * 160 + 240)).shape == (1, 40, mel_frames)


def test_window_and_hop_come_from_the_config():
    wave = noise()
    assert log_mel(hop_ms=20)(wave).shape == (3, 40, 26)
    assert not torch.allclose(log_mel(window="hann")(wave), log_mel()(wave))
    assert not torch.allclose(log_mel(window_ms=20)(wave), log_mel()(wave))


def test_a_window_longer_than_512_samples_gets_a_longer_transform():
    assert features.fft_samples(mels=40, window_samples=400) == 512
    assert features.fft_samples(mels=40, window_samples=1600) == 2048
    assert torch.isfinite(log_mel(window_ms=100)(noise(samples=3_200))).all()


@pytest.mark.parametrize("mels", [8, 40, 80, 112, 128, 256])
def test_no_mel_band_is_empty(mels):
    assert (log_mel(mels=mels).mel_scale.fb.sum(dim=0) > 0).all()


def test_fixed_normalisation_is_the_same_for_every_utterance():
    front_end = log_mel(normalisation="fixed", log_floor=1e-5)
    wave = noise()
    expected = (torch.log(front_end.power(wave) + 1e-5) + 3) / 4
    torch.testing.assert_close(front_end(wave), expected)


@pytest.mark.parametrize("normalisation", ["level", "mean", "instance"])
def test_gain_does_not_matter_once_the_level_is_taken_out(normalisation):
    front_end = log_mel(normalisation=normalisation, log_floor=1e-12)
    torch.testing.assert_close(front_end(noise()), front_end(0.25 * noise()), atol=1e-3, rtol=0)


def test_level_keeps_what_differs_between_bands_and_mean_does_not():
    level, mean = (log_mel(normalisation=how)(noise()) for how in ("level", "mean"))
    zeros = torch.zeros(3)
    torch.testing.assert_close(level.mean(dim=(1, 2)), zeros, atol=1e-5, rtol=0)
    assert level.mean(dim=2).abs().max() > 0.1
    torch.testing.assert_close(mean.mean(dim=2), zeros.expand(40, 3).T, atol=1e-5, rtol=0)


def test_instance_normalisation_is_the_one_of_torch_without_affine_weights():
    frames = torch.randn(2, 8, 21, generator=torch.Generator().manual_seed(1)) * 3 + 1
    expected = torch.nn.functional.instance_norm(frames, eps=1e-5)
    torch.testing.assert_close(features.normalise(frames, "instance"), expected)


@pytest.mark.parametrize(
    ("kind", "normalisation"),
    [
        *((LogMel, how) for how in NORMALISATIONS),
        *((RawWaveform, how) for how in NORMALISATIONS),
        *((LinearMel, how) for how in ("none", "mean", "instance")),
    ],
)
def test_silence_stays_finite(kind, normalisation):
    front_end = features.build(kind(normalisation=normalisation))
    assert torch.isfinite(front_end(torch.zeros(2, 3_200))).all()


@pytest.mark.parametrize("config", [LogMel(pre_emphasis=0.97), LinearMel(), RawWaveform()])
def test_features_keep_no_gradient_and_stay_in_float32_under_autocast(config):
    wave = noise().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = features.build(config)(wave)
    assert outputs.dtype == torch.float32
    assert not outputs.requires_grad


def test_raw_waveform_is_one_channel_as_it_is_when_fixed():
    wave = noise()
    outputs = features.build(RawWaveform(normalisation="fixed"))(wave)
    torch.testing.assert_close(outputs, wave.unsqueeze(1))


def test_a_peak_is_taken_out_by_the_batches_in_training_and_by_the_front_end_otherwise():
    front_end, wave = features.build(RawWaveform(normalisation="peak")), 0.01 * noise()
    torch.testing.assert_close(front_end.train()(wave), wave.unsqueeze(1))
    torch.testing.assert_close(front_end.eval()(wave).abs().amax(dim=2), torch.ones(len(wave), 1))


def test_raw_waveform_is_normalised_per_utterance():
    wave = noise() * torch.tensor([[0.1], [1.0], [5.0]]) + 0.02
    level, mean, instance = (
        features.build(RawWaveform(normalisation=how))(wave).squeeze(1)
        for how in ("level", "mean", "instance")
    )
    ones, zeros = torch.ones(3), torch.zeros(3)
    torch.testing.assert_close(level.abs().amax(dim=1), ones)
    torch.testing.assert_close(mean.mean(dim=1), zeros, atol=1e-6, rtol=0)
    torch.testing.assert_close(instance.mean(dim=1), zeros, atol=1e-5, rtol=0)
    torch.testing.assert_close(instance.std(dim=1, correction=0), ones)
