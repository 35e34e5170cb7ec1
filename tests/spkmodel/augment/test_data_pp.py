"""The log's pre-processing against its definition: smoothing, noise, level."""

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from spkmodel.augment import data_pp
from spkmodel.config import DataPP

NOTHING = {"smooth_probability": 0, "noise_probability": 0, "attenuation_db": 0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_smoothing_is_scipys_gaussian_cut_at_two_sigma_with_mirrored_ends():
    waveforms = torch.randn(7, 300, generator=seeded())
    sigmas = torch.tensor([0.0, 0.2, 0.26, 0.75, 1.3, 3.0, 6.0])
    smoothed = data_pp.smooth(waveforms, sigmas)
    assert torch.equal(smoothed[:2], waveforms[:2])
    for row in range(2, 7):
        expected = ndimage.gaussian_filter1d(
            waveforms[row].double().numpy(), float(sigmas[row]), truncate=2.0
        )
        np.testing.assert_allclose(smoothed[row].numpy(), expected, atol=2e-6)


def test_a_kernel_sums_to_one_and_reaches_two_sigma_rounded_to_whole_samples():
    sigmas = torch.tensor([0.3, 0.75, 1.0, 2.6])
    halves = data_pp.gaussians(sigmas)
    assert (halves > 0).sum(dim=1).tolist() == [2, 3, 3, 6]
    torch.testing.assert_close(2 * halves.sum(dim=1) - halves[:, 0], torch.ones(4))
    assert float(halves[2, 2] / halves[2, 0]) == pytest.approx(np.exp(-2))


def test_sigmas_are_half_normal_and_never_beyond_four_times_their_scale():
    sigmas = data_pp.draw_sigmas(40_000, 0.025, seeded()).numpy()
    assert 0 <= sigmas.min() < sigmas.max() <= 0.1
    assert stats.kstest(sigmas, stats.halfnorm(scale=0.025).cdf).pvalue > 0.001


class _FarOut:
    """Draws in turn: one beyond 4, one that is not."""

    def __init__(self):
        self.draws = [torch.tensor([0.5, -4.5, 1.0]), torch.tensor([-2.0])]

    def __call__(self, count, **_):
        assert len(self.draws[0]) == count
        return self.draws.pop(0)


def test_what_lies_beyond_four_times_the_scale_is_drawn_again(monkeypatch):
    monkeypatch.setattr(torch, "randn", _FarOut())
    assert data_pp.draw_sigmas(3, 2.0, seeded()).tolist() == [1.0, 4.0, 2.0]


def test_the_level_falls_evenly_by_0_to_40_db():
    config = DataPP(**(NOTHING | {"attenuation_db": 40}))
    crops = torch.ones(3000, 20)
    levels_db = 20 * torch.log10(data_pp.pre_process(crops, config, seeded())[:, 0]).numpy()
    assert -40 <= levels_db.min() < -39.9
    assert -0.1 < levels_db.max() <= 0
    assert stats.kstest(levels_db, stats.uniform(-40, 40).cdf).pvalue > 0.001


def deviations(config: DataPP, crops: int = 3000) -> np.ndarray:
    """Of what is added to silence."""
    heard = data_pp.pre_process(torch.zeros(crops, 400), config, seeded())
    return heard.std(dim=1, correction=0).numpy()


def test_noise_that_comes_once_is_in_its_share_of_the_crops_with_half_normal_deviation():
    config = DataPP(
        **(NOTHING | {"noise_probability": 0.8}), noise_repeats=False, noise_smooth_probability=0
    )
    found = deviations(config)
    assert 0.78 < (found > 0).mean() < 0.82
    assert stats.kstest(found[found > 0], stats.halfnorm(scale=0.025).cdf).pvalue > 0.001


def test_repeated_noise_comes_p_over_one_minus_p_times_and_its_powers_add():
    config = DataPP(**(NOTHING | {"noise_probability": 0.7}), noise_smooth_probability=0)
    found = deviations(config)
    assert 0.68 < (found > 0).mean() < 0.72
    # E of one power is 0.025^2 (barely less for the cut at 4); of the number, 0.7 / 0.3.
    assert (found**2).mean() == pytest.approx(0.7 / 0.3 * 0.025**2, rel=0.07)


def test_smoothed_noise_is_correlated_from_sample_to_sample_and_unsmoothed_is_not():
    def correlation(probability):
        config = DataPP(
            **(NOTHING | {"noise_probability": 0.8}),
            noise_repeats=False,
            noise_smooth_probability=probability,
        )
        noise = data_pp.pre_process(torch.zeros(300, 400), config, seeded())
        return float((noise[:, 1:] * noise[:, :-1]).sum() / noise.square().sum())

    assert abs(correlation(0)) < 0.03
    assert correlation(1) > 0.3


def test_speech_is_smoothed_in_its_share_of_the_crops():
    config = DataPP(**(NOTHING | {"smooth_probability": 0.5}))
    crops = torch.randn(2000, 30, generator=seeded(1))
    touched = (data_pp.pre_process(crops, config, seeded()) != crops).any(dim=1).float().mean()
    # A sigma below a quarter of a sample changes nothing.
    unchanged = 2 * stats.norm.cdf(0.25 / 0.75) - 1
    assert float(touched) == pytest.approx(0.5 * (1 - unchanged), abs=0.04)


@pytest.mark.parametrize("entry", [39, 40, 41, 125])
def test_an_entrys_pre_processing_repeats_by_seed_and_leaves_its_input_alone(entry):
    crops = torch.randn(5, 400, generator=seeded(1))
    before, config = crops.clone(), DataPP.from_entry(entry)
    heard = data_pp.pre_process(crops, config, seeded(2))
    assert torch.equal(heard, data_pp.pre_process(crops, config, seeded(2)))
    assert not torch.equal(heard, data_pp.pre_process(crops, config, seeded(3)))
    assert torch.equal(crops, before)
