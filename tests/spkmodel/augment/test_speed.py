"""Speech at another speed: its pitch, its length, and whose it is."""

import math

import numpy as np
import pytest
import torch

from spkmodel.augment.speed import change_speed, samples_around, samples_read
from spkmodel.config import Batches, Speed
from spkmodel.data.store_writing import write_store
from spkmodel.training.batches import batches_of_epoch, crops
from spkmodel.training.epoch_plan import Batch

RATES = (0.5, 0.9, 0.95, 1.07, 1.1, 1.5, 2.0)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [200.0, 1500.0, 2500.0])
def test_a_tone_at_f_comes_out_at_f_times_the_rate_with_its_level_and_phase(rate, hz):
    samples, around = 4000, samples_around(rate)
    time = (torch.arange(samples_read(samples, rate) + 2 * around) - around) / 16000
    tone = torch.sin(2 * math.pi * hz * time).unsqueeze(0)
    faster = change_speed(tone, rate, samples)
    assert faster.shape == (1, samples)
    expected = torch.sin(2 * math.pi * hz * rate * torch.arange(samples) / 16000)
    torch.testing.assert_close(faster[0], expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("samples", [3200, 24000, 4801])
def test_what_is_read_fills_a_crop_exactly(rate, samples):
    stretch = torch.ones(2, samples_read(samples, rate) + 2 * samples_around(rate))
    crop = change_speed(stretch, rate, samples)
    assert crop.shape == (2, samples)
    torch.testing.assert_close(crop, torch.ones_like(crop), rtol=0, atol=5e-3)


def test_what_would_lie_above_8_khz_is_gone():
    time = torch.arange(samples_read(8000, 1.5) + 2 * samples_around(1.5)) / 16000
    tone = torch.sin(2 * math.pi * 6500 * time).unsqueeze(0)
    assert change_speed(tone, 1.5, 8000)[0, 100:-100].abs().max() < 0.03


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Every speaker hums a tone of their own, speaker k at 300 + 100 k Hz."""
    time = np.arange(8000) / 16000
    utterances = [
        (f"{k}/{n}", f"s{k}", "train", (9000 * np.sin(2 * np.pi * (300 + 100 * k) * time)).round())
        for k in range(5)
        for n in range(6)
    ]
    utterances = [(i, s, split, w.astype(np.int16)) for i, s, split, w in utterances]
    return write_store(tmp_path_factory.mktemp("home") / "s", utterances, {"sha256": "0"})


CONFIG = Batches(speakers=3, utterances=2, crop_seconds=0.25)
SPEED = Speed(rates=(0.8, 1.0, 1.25))


def pitches_hz(waveforms: torch.Tensor) -> np.ndarray:
    spectra = torch.fft.rfft(waveforms * torch.hann_window(waveforms.shape[1]), 16000).abs()
    return spectra.argmax(dim=1).numpy()


def test_a_label_says_who_speaks_and_how_fast(store):
    for number in (1, 2, 3):
        for waveforms, labels in batches_of_epoch(store, CONFIG, 0, number, SPEED):
            rates = np.array(SPEED.ordered)[labels.numpy() // 5]
            expected = (300 + 100 * (labels.numpy() % 5)) * rates
            assert waveforms.shape == (6, 4000)
            np.testing.assert_allclose(pitches_hz(waveforms), expected, atol=3)


def test_a_speaker_at_another_rate_is_another_one_of_a_batch(store):
    seen = set()
    for number in range(1, 20):
        for _, labels in batches_of_epoch(store, CONFIG, 0, number, SPEED):
            grouped = labels[::2].tolist()
            assert labels.tolist() == [label for label in grouped for _ in range(2)]
            assert len(set(grouped)) == 3
            seen |= set(grouped)
    assert seen == set(range(15))


def test_speed_costs_an_epoch_no_more_batches_and_hears_no_utterance_twice(store):
    plain = batches_of_epoch(store, CONFIG, 0, 1)
    faster = batches_of_epoch(store, CONFIG, 0, 1, SPEED)
    assert len(faster) == len(plain) == 5


def test_without_new_speakers_crops_differ_in_rate_and_keep_their_labels(store):
    speed = Speed(rates=(0.8, 1.25), new_speakers=False)
    rates = []
    for waveforms, labels in batches_of_epoch(store, CONFIG, 0, 1, speed):
        assert int(labels.max()) < 5
        rates += (pitches_hz(waveforms) / (300 + 100 * labels.numpy())).round(1).tolist()
    assert set(rates) == {0.8, 1.2}
    plain = [labels.tolist() for _, labels in batches_of_epoch(store, CONFIG, 0, 1)]
    assert plain == [labels.tolist() for _, labels in batches_of_epoch(store, CONFIG, 0, 1, speed)]


def batch_at(store, count, rate):
    rows = np.full(count, store.ids.index("0/0"))
    return Batch(rows, np.zeros_like(rows), np.full(count, rate))


def test_an_utterance_just_long_enough_at_a_fast_rate_is_not_repeated(store):
    batch = batch_at(store, 1, 2.0)
    crop = crops(store, batch, 4000, np.random.default_rng(0))[0]
    expected = np.sin(2 * np.pi * 600 * np.arange(4000) / 16000) * 9000 / 32768
    np.testing.assert_allclose(crop[50:-50], expected[50:-50], atol=0.003)


def test_one_that_is_too_short_starts_over_at_its_rate(store):
    batch = batch_at(store, 3, 1.25)
    cut = crops(store, batch, 8000, np.random.default_rng(0))
    assert cut.shape == (3, 8000)
    # 300 Hz goes into the utterance 150 times, so it goes on without a step.
    np.testing.assert_allclose(pitches_hz(torch.from_numpy(cut)), [375] * 3, atol=1)
    assert np.abs(np.diff(cut)).max() < 0.06


def test_the_same_seed_and_epoch_give_the_same_crops_at_the_same_rates(store):
    def drawn(seed):
        return torch.cat([w for w, _ in batches_of_epoch(store, CONFIG, seed, 1, SPEED)])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
