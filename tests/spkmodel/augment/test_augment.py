"""Gain, filter, room and ambience, each against its definition."""

import numpy as np
import pytest
import torch

from spkmodel import augment
from spkmodel.augment import Augmenter
from spkmodel.augment.noise_and_rooms import NoiseAndRooms
from spkmodel.config import Augment, Babble, DataPP

EVERYTHING = Augment(
    gain_db=6,
    filter_probability=1,
    room_probability=1,
    babble=Babble(probability=1, talkers_low=1, talkers_high=4),
    noise_probability=1,
    data_pp=DataPP(smooth_probability=1),
)
SPEAKERS = torch.arange(6)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def around() -> NoiseAndRooms:
    chance = np.random.default_rng(0)
    rooms = []
    for taps in (800, 3000):
        room = chance.standard_normal(taps) * np.exp(-np.arange(taps) / 200)
        room[0] = 5
        rooms.append((room / np.linalg.norm(room)).astype(np.float32))
    ambiences = [chance.standard_normal(length).astype(np.float32) for length in (900, 20000)]
    return NoiseAndRooms.from_arrays(tuple(ambiences), tuple(rooms), ("a", "b", "c", "d"))


@pytest.fixture(scope="module")
def waveforms() -> torch.Tensor:
    return 0.1 * torch.randn(6, 4000, generator=seeded(7))


def test_gain_is_in_decibels_of_amplitude():
    raised = augment.gain(torch.ones(2, 3), torch.tensor([20.0, -6.0206]))
    assert raised[:, 0].tolist() == pytest.approx([10, 0.5], rel=1e-4)


def test_a_flat_filter_changes_the_level_alone(waveforms):
    points = torch.full((6, 8), 6.0)
    filtered = augment.smooth_filter(waveforms, points)
    torch.testing.assert_close(filtered, waveforms * 10 ** (6 / 20), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("hz", [1000, 2500, 5000])
def test_a_tone_is_raised_by_what_the_filters_points_say_there(hz):
    points_db = torch.tensor([[0.0, -8, 5, 3, -6, 8, 2, -1]])
    time = torch.arange(16000) / 16000
    tone = torch.sin(2 * torch.pi * hz * time).unsqueeze(0)
    middle = slice(4000, 12000)
    raised_db = 20 * torch.log10(
        augment.smooth_filter(tone, points_db)[0, middle].std() / tone[0, middle].std()
    )
    expected = np.interp(hz, np.linspace(0, 8000, 8), points_db[0].numpy())
    assert float(raised_db) == pytest.approx(expected, abs=0.1)


def test_reverberation_is_the_convolution_cut_to_length(waveforms, around):
    rooms = [torch.from_numpy(around.rooms[row % 2]) for row in range(6)]
    heard = augment.reverberate(waveforms, rooms)
    assert heard.shape == waveforms.shape
    for row in range(6):
        expected = np.convolve(waveforms[row].numpy(), rooms[row].numpy())[:4000]
        np.testing.assert_allclose(heard[row].numpy(), expected, atol=1e-5)


def test_filter_and_room_in_one_pass_equal_one_after_the_other(waveforms, around):
    config = Augment(filter_probability=1, room_probability=1)
    at_once = Augmenter(config, around)(waveforms, seeded(3))
    generator = seeded(3)
    torch.rand(6, generator=generator)
    points_db = augment.draw_filter(6, config.filter_db, generator)
    torch.rand(6, generator=generator)
    which = torch.randint(2, (6,), generator=generator)
    filtered = augment.smooth_filter(waveforms, points_db)
    apart = augment.reverberate(
        filtered, [torch.from_numpy(around.rooms[i]) for i in which.tolist()]
    )
    # The filter has no phase, so what rings before a crop's beginning reaches the room in one
    # pass and is cut off in two.
    torch.testing.assert_close(at_once[:, 600:], apart[:, 600:], rtol=1e-2, atol=3e-3)


def test_ambience_lies_exactly_the_snr_below_the_speech(waveforms):
    ambience = torch.randn(6, 4000, generator=seeded(1)) * torch.logspace(-3, 0, 6).unsqueeze(1)
    snr_db = torch.tensor([-5.0, 0, 5, 10, 20, 40])
    added = augment.add_ambience(waveforms, ambience, snr_db) - waveforms
    measured = 10 * torch.log10(waveforms.square().mean(1) / added.square().mean(1))
    torch.testing.assert_close(measured, snr_db, rtol=1e-3, atol=1e-2)


def test_digital_silence_stays_silent_and_silent_ambience_adds_nothing(waveforms):
    snr_db = torch.full((6,), 5.0)
    noise = torch.randn(6, 4000, generator=seeded(1))
    assert not augment.add_ambience(torch.zeros(6, 4000), noise, snr_db).any()
    assert torch.equal(augment.add_ambience(waveforms, torch.zeros(6, 4000), snr_db), waveforms)


def test_an_excerpt_begins_again_at_the_ambiences_end():
    ambience = torch.arange(10.0)
    assert augment.excerpt(ambience, 0.7, 5).tolist() == [7, 8, 9, 0, 1]
    assert augment.excerpt(ambience, 0.2, 3).tolist() == [2, 3, 4]
    assert augment.excerpt(ambience, 0.99, 25).tolist() == [float(k % 10) for k in range(9, 34)]


def test_with_nothing_switched_on_the_crops_come_back_untouched(waveforms, around):
    generator = seeded()
    before = generator.get_state()
    assert Augmenter(Augment(), around)(waveforms, generator) is waveforms
    assert torch.equal(generator.get_state(), before)


def test_the_same_generator_state_gives_the_same_crops_and_another_other_ones(waveforms, around):
    augmenter = Augmenter(EVERYTHING, around)
    first = augmenter(waveforms, seeded(1), SPEAKERS)
    assert torch.equal(first, Augmenter(EVERYTHING, around)(waveforms, seeded(1), SPEAKERS))
    assert not torch.equal(first, augmenter(waveforms, seeded(2), SPEAKERS))
    assert first.shape == waveforms.shape
    assert torch.isfinite(first).all()


def test_the_crops_that_went_in_are_not_written_to(waveforms, around):
    before = waveforms.clone()
    Augmenter(EVERYTHING, around)(waveforms, seeded(), SPEAKERS)
    assert torch.equal(waveforms, before)


def test_waveforms_never_leave_their_device_for_the_cpu_or_numpy(waveforms, around, monkeypatch):
    augmenter = Augmenter(EVERYTHING, around)

    def fetched(*_, **__):
        raise AssertionError("a tensor was fetched from its device")

    monkeypatch.setattr(torch.Tensor, "cpu", fetched)
    monkeypatch.setattr(torch.Tensor, "numpy", fetched)
    assert augmenter(waveforms, seeded(), SPEAKERS).shape == waveforms.shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_hears_what_a_cpu_hears(waveforms, around):
    here = Augmenter(EVERYTHING, around)(waveforms, seeded(1), SPEAKERS)
    there = Augmenter(EVERYTHING, around, "cuda")(waveforms.cuda(), seeded(1), SPEAKERS)
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-4)


def test_steps_that_came_later_leave_alone_what_the_others_draw(waveforms, around):
    """Frozen: the sums of absolute samples before babble and DataPP were there."""
    config = Augment(gain_db=6, filter_probability=0.6, room_probability=0.5, noise_probability=0.5)
    heard = Augmenter(config, around)(waveforms, seeded(4))
    assert heard.abs().sum(dim=1).tolist() == pytest.approx(
        [357.242, 377.841, 181.530, 213.748, 217.613, 225.097], rel=1e-4
    )


@pytest.mark.parametrize("field", ["filter_probability", "room_probability", "noise_probability"])
def test_a_step_touches_its_share_of_the_crops_and_no_others(around, field):
    crops = 0.1 * torch.randn(400, 200, generator=seeded(5))
    result = Augmenter(Augment.model_validate({field: 0.25}), around)(crops, seeded(2))
    touched = (result != crops).any(dim=1)
    assert 70 <= int(touched.sum()) <= 130
    assert torch.equal(result[~touched], crops[~touched])


def test_gain_stays_within_its_range(around):
    crops = torch.ones(300, 4)
    levels_db = 20 * torch.log10(Augmenter(Augment(gain_db=6), around)(crops, seeded())[:, 0])
    assert -6 <= levels_db.min() < -5
    assert 5 < levels_db.max() <= 6


def test_drawn_filters_stay_within_their_range():
    points_db = augment.draw_filter(500, 8.0, seeded())
    assert points_db.shape == (500, 8)
    assert -8 <= points_db.min() < -7.8
    assert 7.8 < points_db.max() <= 8


@pytest.mark.parametrize("field", ["room_probability", "noise_probability"])
def test_a_step_without_anything_to_draw_from_is_an_error(field):
    with pytest.raises(ValueError, match=f"augment.{field}"):
        Augmenter(Augment.model_validate({field: 0.5}), NoiseAndRooms.from_arrays((), (), ()))


@pytest.mark.parametrize("samples", [1, 2, 31, 24000, 37001])
def test_a_fast_size_is_enough_even_and_has_small_factors_only(samples):
    size = augment.fast_size(samples)
    assert samples <= size <= 2 * samples + 2
    assert size % 2 == 0
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    assert size == 1
