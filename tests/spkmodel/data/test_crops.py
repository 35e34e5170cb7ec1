"""Crops lie where voxceleb_trainer puts them."""

import numpy as np
import pytest

from spkmodel.data.crops import Crops, crop_starts, cut_crops


def as_the_lab_does(audio, frames, count):
    """The rule of its loader, told again: wrapped if short, then evenly spaced whole starts."""
    longest = frames * 160 + 240
    if len(audio) <= longest:
        audio = np.pad(audio, (0, longest - len(audio) + 1), "wrap")
    begins = [int(start) for start in np.linspace(0, len(audio) - longest, num=count)]
    return np.stack([audio[start : start + longest] for start in begins])


@pytest.mark.parametrize("samples", [64_241, 64_240, 64_239, 40_000, 32_120, 900, 128_001, 200_003])
def test_ten_crops_of_400_frames_are_those_of_the_lab(samples):
    waveform = np.random.default_rng(0).integers(-9, 9, size=samples).astype(np.int16)
    found = cut_crops(waveform, Crops.from_frames(10, 400))
    assert found.shape == (10, 64_240)
    assert found.dtype == np.int16
    assert np.array_equal(found, as_the_lab_does(waveform, 400, 10))


def test_the_first_crop_begins_and_the_last_ends_with_the_utterance():
    crops = Crops.from_frames(5, 100)
    assert crop_starts(80_000, crops).tolist() == [0, 15_940, 31_880, 47_820, 63_760]
    assert 63_760 + crops.samples == 80_000


def test_one_crop_is_the_beginning():
    assert crop_starts(80_000, Crops.from_seconds(1, 1.0)).tolist() == [0]


def test_a_short_utterance_is_repeated_and_nothing_of_it_is_lost():
    found = cut_crops(np.arange(1000), Crops.from_frames(3, 20))
    assert found[0].tolist() == [n % 1000 for n in range(3440)]
    assert found[1].tolist() == found[0].tolist()  # half a sample later is the same sample
    assert found[2].tolist() == [n % 1000 for n in range(1, 3441)]


@pytest.mark.parametrize("seconds", [0.1, 2.0, 2.015, 4.0])
def test_a_second_of_a_crop_is_16000_samples(seconds):
    assert Crops.from_seconds(3, seconds).samples == round(16_000 * seconds)
    assert Crops.from_seconds(3, seconds).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(("frames", "seconds"), [(200, 2.015), (300, 3.015), (400, 4.015)])
def test_frames_last_as_long_as_the_seconds_that_an_import_prints(frames, seconds):
    assert Crops.from_frames(10, frames) == Crops.from_seconds(10, seconds)


@pytest.mark.parametrize(
    ("count", "seconds", "words"),
    [
        (0, 4.0, "1 to 100, got 0; 0: the whole"),
        (101, 4.0, "1 to 100, got 101"),
        (10, 0.05, r"0\.1 to 60 seconds, got 0\.05"),
        (10, 61.0, "got 61"),
        (10, float("nan"), "got nan"),
    ],
)
def test_crops_that_cannot_be_are_refused(count, seconds, words):
    with pytest.raises(ValueError, match=words):
        Crops.from_seconds(count, seconds)
