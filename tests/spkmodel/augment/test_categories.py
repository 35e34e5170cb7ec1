"""Categories of MUSAN and RIRS_NOISES: recognised, split, drawn at their levels."""

from collections import Counter

import numpy as np
import pytest
import torch

from spkmodel.augment import Augmenter
from spkmodel.augment.conditions import apply_to_waveform
from spkmodel.augment.draws import draw_of_categories
from spkmodel.augment.noise_and_rooms import (
    SPLITS,
    NoiseAndRoomsError,
    fingerprint,
    list_recordings,
    open_noise_and_rooms,
    places_of_split,
)
from spkmodel.augment.sound_categories import categorise
from spkmodel.augment.sounds import mix_talkers
from spkmodel.config import Augment, Categories, TrainConfig
from tests.support.corpora.noise_sets import MUSAN, RIRS_NOISES, write_noise_set


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """MUSAN and RIRS_NOISES side by side, small."""
    return write_noise_set(tmp_path_factory.mktemp("both"), MUSAN + RIRS_NOISES)


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def test_the_folders_of_both_sets_are_categories():
    names = [form.format(1) for form in MUSAN + RIRS_NOISES]
    assert categorise(names) == [
        *("noise", "music", "speech"),
        *("small", "medium", "large", "real", "noise", "noise"),
    ]


@pytest.mark.parametrize(
    "names",
    [["a.wav", "b.wav"], ["noise/a.wav", "other/b.wav"], ["x/music/a.wav", "y/speech/b.wav"]],
)
def test_a_folder_with_one_such_name_alone_is_flat(names):
    assert categorise(names) == [""] * len(names)


@pytest.mark.parametrize("kind", ["ambience", "room"])
def test_each_category_is_split_by_file_and_every_file_is_in_one_split(both, kind):
    listed = list_recordings(both, kind)
    splits = {split: places_of_split(listed, split) for split in SPLITS}
    assert sorted(place for part in splits.values() for own in part.values() for place in own) == [
        *range(len(listed.files))
    ]
    for part in splits.values():
        assert all(part.values())
        for category, places in part.items():
            assert {listed.categories[place] for place in places} == {category}


def test_ambiences_and_rooms_are_told_apart_in_one_folder(both):
    around = open_noise_and_rooms(both, both, "train")
    assert {name: len(own) for name, own in around.ambience_categories.items()} == {
        "noise": 9,  # 15 files: 3 in dev, 3 in test
        "music": 3,
        "speech": 3,
    }
    assert list(around.room_categories) == ["small", "medium", "large", "real"]
    assert len(around.rooms) == 12


def test_a_categorised_ambience_is_kept_whole_and_the_first_channel_is_taken(tmp_path):
    import soundfile

    for name in ("noise", "music"):
        for number in range(3):
            path = tmp_path / name / f"{number}.wav"
            path.parent.mkdir(exist_ok=True)
            tone = np.full((41 * 16_000, 2), 0.25)
            tone[:, 1] = -0.5
            soundfile.write(path, tone, 16_000)
    around = open_noise_and_rooms(tmp_path, None, "train")
    assert around.ambiences.lengths.tolist() == [41 * 16_000] * 2
    assert around.ambiences.read(0, 0, 3).tolist() == [0.25] * 3


def test_a_file_outside_of_the_categories_is_an_error_that_names_it(tmp_path):
    write_noise_set(tmp_path, MUSAN)
    write_noise_set(tmp_path, ("own/rain{}.wav",), each=1)
    with pytest.raises(NoiseAndRoomsError, match=r"1 audio files .* own/rain0\.wav; .*noise check"):
        open_noise_and_rooms(tmp_path, None, "train")


def test_too_few_files_of_a_category_are_an_error_that_names_it(tmp_path):
    write_noise_set(tmp_path, MUSAN[:2])
    write_noise_set(tmp_path, MUSAN[2:], each=2)
    with pytest.raises(NoiseAndRoomsError, match=r"2 audio files .* of the category 'speech'"):
        open_noise_and_rooms(tmp_path, None, "dev")


def test_levels_lie_in_the_range_of_their_category_and_speech_has_several_talkers():
    places = {"noise": np.arange(4), "music": np.arange(4, 6), "speech": np.arange(6, 9)}
    levels = Categories(
        noise_snr_db_low=0,
        noise_snr_db_high=1,
        music_snr_db_low=2,
        music_snr_db_high=3,
        speech_snr_db_low=4,
        speech_snr_db_high=5,
        talkers_low=2,
        talkers_high=4,
    )
    draws = draw_of_categories(levels, 1.0, places, 600, generator())
    seen = Counter()
    for drawn, offsets, snr_db in zip(draws.ambiences, draws.offsets, draws.snr_db, strict=True):
        category = next(name for name, own in places.items() if drawn[0] in own)
        seen[category] += 1
        assert len(drawn) == len(offsets)
        assert set(drawn) <= set(places[category].tolist())
        assert len(drawn) in ((2, 3, 4) if category == "speech" else (1,))
        assert levels.snr_db_range(category)[0] <= snr_db <= levels.snr_db_range(category)[1]
    assert min(seen.values()) > 150, "each category is as likely as the others"


def test_what_a_crop_gets_does_not_depend_on_the_probability_of_the_others():
    places = {"noise": np.arange(4), "speech": np.arange(4, 9)}
    every = draw_of_categories(Categories(), 1.0, places, 50, generator())
    some = draw_of_categories(Categories(), 0.5, places, 50, generator())
    assert 0 < len(some.rows) < 50
    for row, drawn in zip(some.rows.tolist(), some.ambiences, strict=True):
        assert every.ambiences[row] == drawn


def test_talkers_are_equally_loud_and_a_silent_one_stays_out():
    one, two = np.sin(np.arange(1600) / 5), np.cos(np.arange(1600) / 50)
    loud = np.stack([one, 100 * two, 0 * one]).astype(np.float32)
    quiet = np.stack([3 * one, two, 0 * one]).astype(np.float32)
    assert np.allclose(mix_talkers(loud), mix_talkers(quiet), atol=1e-5)


def test_the_mixture_lies_at_the_level_that_was_drawn(both):
    around = open_noise_and_rooms(both, both, "train")
    levels = Categories(
        **{
            f"{name}_snr_db_{end}": 7
            for name in ("noise", "music", "speech")
            for end in ("low", "high")
        }
    )
    augmenter = Augmenter(Augment(noise_probability=1.0, categories=levels), around)
    speech = 0.1 * torch.randn(20, 4000, generator=generator())
    added = augmenter(speech, generator()) - speech
    snr_db = 10 * torch.log10(speech.square().mean(1) / added.square().mean(1))
    assert torch.allclose(snr_db, torch.full((20,), 7.0), atol=0.01)


def test_rooms_of_each_category_are_equally_likely(both):
    around = open_noise_and_rooms(both, both, "train")
    config = Augment(room_probability=1.0, categories=Categories())
    drawn = Augmenter(config, around).draw((800, 100), generator())
    seen = Counter(
        next(name for name, own in around.room_categories.items() if room in own)
        for room in drawn.channel.rooms
    )
    assert set(seen) == {"small", "medium", "large", "real"}
    assert min(seen.values()) > 150


def test_without_levels_for_categories_all_recordings_are_alike(both):
    around = open_noise_and_rooms(both, both, "train")
    config = Augment(noise_probability=1.0, snr_db_low=3, snr_db_high=3)
    draws = Augmenter(config, around).draw((200, 100), generator())
    assert {len(drawn) for drawn in draws.ambiences.ambiences} == {1}
    assert set(draws.ambiences.snr_db.tolist()) == {3.0}


def test_a_flat_folder_counts_as_noise_where_categories_have_levels(tmp_path):
    write_noise_set(tmp_path, ("{}.wav",))
    around = open_noise_and_rooms(tmp_path, None, "train")
    config = Augment(noise_probability=1.0, categories=Categories())
    draws = Augmenter(config, around).draw((200, 100), generator())
    assert draws.ambiences.snr_db.min() < 5
    assert draws.ambiences.snr_db.max() <= 15


def test_the_mismatched_condition_of_categories_is_the_same_again(both):
    dev = open_noise_and_rooms(both, both, "dev")
    speech = np.random.default_rng(1).standard_normal(3000).astype(np.float32)
    heard = [apply_to_waveform("mismatched", speech, name, dev) for name in ("a", "a", "b")]
    assert np.array_equal(heard[0], heard[1])
    assert not np.array_equal(heard[0], heard[2])
    assert heard[0].shape == speech.shape


def test_a_flat_and_a_categorised_folder_of_the_same_files_have_other_fingerprints(tmp_path):
    write_noise_set(tmp_path / "flat", ("a/{}.wav", "b/{}.wav"))
    write_noise_set(tmp_path / "sets", ("noise/{}.wav", "music/{}.wav"))
    assert fingerprint(tmp_path / "flat", None) != fingerprint(tmp_path / "sets", None)


def test_a_config_without_categories_keeps_the_signature_that_it_had():
    assert TrainConfig().signature == "dbf58a24"
    assert "categories" not in TrainConfig().model_dump(mode="json")["augment"]
    with_levels = TrainConfig(augment=Augment(categories=Categories()))
    assert TrainConfig.model_validate(with_levels.model_dump(mode="json")) == with_levels
    assert with_levels.signature != "dbf58a24"


def test_a_range_that_is_none_is_an_error_that_names_its_field():
    with pytest.raises(ValueError, match=r"augment\.categories\.music_snr_db_low .* 20.0 and 15.0"):
        Categories(music_snr_db_low=20)
    with pytest.raises(ValueError, match=r"augment\.categories\.talkers_low"):
        Categories(talkers_low=9)
