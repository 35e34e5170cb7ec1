"""Ambiences and rooms: read, split by file, built in."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from spkmodel.augment import Augmenter, augmenter, noise_and_rooms, sound_store
from spkmodel.augment.noise_and_rooms import SPLITS, NoiseAndRoomsError, open_noise_and_rooms
from spkmodel.augment.sound_store import read_excerpt
from spkmodel.config import Augment
from tests.support.programs.dead_owner import abandoned_beside


def write_sounds(folder: Path, count: int, rate: int = 16000, channels: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        chance = np.random.default_rng(number)
        samples = 0.1 * chance.standard_normal((4000, channels))
        samples[500 + number] = 0.9
        soundfile.write(folder / f"sound{number:02d}.wav", samples, rate)
    return folder


@pytest.mark.parametrize("count", [3, 4, 13, 40])
def test_every_file_is_in_exactly_one_split_and_train_has_the_most(tmp_path, count):
    folder = write_sounds(tmp_path / "noise", count)
    opened = {split: open_noise_and_rooms(folder, folder, split) for split in SPLITS}
    files = {split: around.names[: len(around.ambiences)] for split, around in opened.items()}
    assert sorted(name for part in files.values() for name in part) == [
        f"sound{number:02d}.wav" for number in range(count)
    ]
    assert len(files["dev"]) == len(files["test"]) >= 1
    assert len(files["train"]) >= len(files["dev"])


def test_the_split_depends_on_names_within_the_folder_alone(tmp_path):
    here, there = write_sounds(tmp_path / "a", 9), write_sounds(tmp_path / "deep" / "b", 9)
    assert (
        open_noise_and_rooms(here, here, "dev").names
        == open_noise_and_rooms(there, there, "dev").names
    )


def test_a_room_begins_with_its_peak_and_has_unit_energy(tmp_path):
    folder = write_sounds(tmp_path, 5)
    for room in open_noise_and_rooms(folder, folder, "train").rooms:
        assert np.abs(room).argmax() == 0
        assert np.sum(room.astype(np.float64) ** 2) == pytest.approx(1, abs=1e-5)
        assert room.dtype == np.float32


def test_only_the_first_forty_seconds_of_an_ambience_are_used(tmp_path):
    for number in range(3):
        tone = 0.5 * np.sin(np.arange(41 * 16000) / 10)
        soundfile.write(tmp_path / f"long{number}.flac", tone, 16000)
    (ambience,) = open_noise_and_rooms(tmp_path, None, "test").ambiences
    assert len(ambience) == 40 * 16000


def test_too_few_files_are_an_error_that_says_how_many_are_needed(tmp_path):
    with pytest.raises(NoiseAndRoomsError, match=r"2 audio files .* at least 3"):
        open_noise_and_rooms(write_sounds(tmp_path, 2), None, "train")
    with pytest.raises(NoiseAndRoomsError, match="no such folder"):
        open_noise_and_rooms(tmp_path / "nowhere", None, "train")


@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (16000, 2)])
def test_another_format_is_an_error_that_names_the_file(tmp_path, rate, channels):
    folder = write_sounds(tmp_path, 3, rate, channels)
    with pytest.raises(NoiseAndRoomsError, match=rf"sound0\d\.wav.*{rate} Hz and {channels}"):
        open_noise_and_rooms(folder, None, "train")


@pytest.mark.parametrize("content", [b"", b"no audio at all", b"fLaC"])
def test_a_file_that_is_no_audio_is_an_error_that_names_it(tmp_path, content):
    for number in range(3):
        (tmp_path / f"broken{number}.flac").write_bytes(content)
    with pytest.raises(NoiseAndRoomsError, match=r"broken\d\.flac"):
        open_noise_and_rooms(tmp_path, None, "dev")


def test_silence_and_what_is_not_finite_are_errors(tmp_path):
    for number, value in enumerate([0.0, 0.0, np.nan]):
        samples = np.full(100, value, dtype=np.float32)
        soundfile.write(tmp_path / f"{number}.wav", samples, 16000, subtype="FLOAT")
    for split in SPLITS:
        with pytest.raises(NoiseAndRoomsError, match="silent or holds numbers that are not finite"):
            open_noise_and_rooms(tmp_path, None, split)


def test_built_in_surroundings_differ_between_splits_and_are_the_same_again():
    splits = {split: open_noise_and_rooms(None, None, split) for split in ("dev", "test")}
    again = open_noise_and_rooms(None, None, "dev")
    for here, same in zip(splits["dev"].ambiences, again.ambiences, strict=True):
        assert np.array_equal(here, same)
    for here, there in zip(splits["dev"].ambiences, splits["test"].ambiences, strict=True):
        assert abs(np.corrcoef(here, there)[0, 1]) < 0.9
    assert len(splits["dev"].ambiences) >= 5
    assert len({name for split in splits.values() for name in split.names}) == sum(
        len(split.names) for split in splits.values()
    )


def test_built_in_ambiences_are_audible_and_do_not_clip():
    for ambience in open_noise_and_rooms(None, None, "test").ambiences:
        assert np.isfinite(ambience).all()
        assert np.abs(ambience).max() == pytest.approx(0.7, abs=1e-3)
        assert ambience.std() > 0.005


def test_built_in_rooms_decay_as_their_name_says():
    opened = open_noise_and_rooms(None, None, "test")
    names = opened.names[len(opened.ambiences) :]
    assert len(opened.rooms) == len(names) >= 5
    for room, name in zip(opened.rooms, names, strict=True):
        assert np.sum(room.astype(np.float64) ** 2) == pytest.approx(1, abs=1e-5)
        low = float(name.split("t60 ")[1].split("-")[0])
        assert low * 0.85 < reverberation_seconds(room) < (low + 0.1) * 1.15


def reverberation_seconds(room: np.ndarray) -> float:
    """T60 by Schroeder's backward integral, from -5 to -25 dB of the tail."""
    tail = room[100:].astype(np.float64)
    decay_db = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2) + 1e-12)
    fit = (decay_db < -5) & (decay_db > -25)
    slope = np.polyfit(np.flatnonzero(fit) / 16000, decay_db[fit], 1)[0]
    return -60 / slope


def test_the_fingerprint_follows_names_and_contents(tmp_path):
    one, two = write_sounds(tmp_path / "one", 3), write_sounds(tmp_path / "two", 3)
    before = noise_and_rooms.fingerprint(one, None)
    assert before == noise_and_rooms.fingerprint(two, None)
    assert before != noise_and_rooms.fingerprint(None, one)
    assert (
        before != noise_and_rooms.fingerprint(one, two) != noise_and_rooms.fingerprint(None, None)
    )
    (two / "sound00.wav").rename(two / "other.wav")
    assert noise_and_rooms.fingerprint(two, None) != before
    soundfile.write(one / "sound01.wav", np.full(10, 0.1), 16000)
    assert noise_and_rooms.fingerprint(one, None) != before
    assert len(before) == 16
    assert int(before, 16) >= 0


# --- packed once, read where it is used -------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sounds"


def packs(cache):
    return sorted(path.name for path in cache.iterdir() if not path.name.startswith("."))


def test_samples_of_sixteen_bits_come_back_as_they_were_stored(tmp_path):
    folder = write_sounds(tmp_path / "noise", 3)
    opened = [open_noise_and_rooms(folder, None, split) for split in SPLITS]
    for around in opened:
        for sound, name in zip(around.ambiences, around.names, strict=False):
            assert np.array_equal(sound, soundfile.read(folder / name, dtype="float32")[0])


@pytest.mark.parametrize("peak", [0.3, 4.0])
def test_samples_of_more_bits_are_kept_to_a_part_in_65_000_of_their_peak(tmp_path, peak):
    chance = np.random.default_rng(1)
    for number in range(3):
        samples = peak * chance.uniform(-1, 1, 3000)
        soundfile.write(tmp_path / f"{number}.wav", samples, 16000, subtype="FLOAT")
    (sound,) = open_noise_and_rooms(tmp_path, None, "dev").ambiences
    (name,) = open_noise_and_rooms(tmp_path, tmp_path, "dev").names[:1]
    stored, _ = soundfile.read(tmp_path / name)
    assert np.abs(sound - stored).max() <= np.abs(stored).max() / 32767


def test_a_folder_is_packed_once_and_anew_when_a_file_has_changed(tmp_path, cache, monkeypatch):
    folder = write_sounds(tmp_path / "noise", 4)
    before = noise_and_rooms.fingerprint(folder, folder)
    first = packs(cache)
    assert len(first) == 2
    with monkeypatch.context() as patched:
        patched.setattr(sound_store, "_pack", None)  # would fail if it were called
        assert noise_and_rooms.fingerprint(folder, folder) == before
        open_noise_and_rooms(folder, folder, "train")
    write_sounds(folder, 5)
    assert noise_and_rooms.fingerprint(folder, folder) != before
    assert len(packs(cache)) == 2
    assert not set(packs(cache)) & set(first)


def test_a_pack_that_is_cut_or_left_half_written_is_made_anew(tmp_path, cache):
    folder = write_sounds(tmp_path / "noise", 4)
    before = list(open_noise_and_rooms(folder, None, "train").ambiences)
    (pack,) = packs(cache)
    audio = cache / pack / "audio.i16"
    audio.write_bytes(audio.read_bytes()[:-2])
    left = abandoned_beside(cache / pack)
    left.mkdir()
    after = list(open_noise_and_rooms(folder, None, "train").ambiences)
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert not left.exists()


def test_every_file_that_cannot_be_used_is_named_and_nothing_is_left(tmp_path, cache):
    folder = write_sounds(tmp_path / "noise", 15)
    for number in range(12):
        (folder / f"sound{number:02d}.wav").write_bytes(b"no audio")
    with pytest.raises(NoiseAndRoomsError) as caught:
        open_noise_and_rooms(folder, None, "train")
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 2 more"
    assert [path for path in cache.iterdir() if path.suffix != ".lock"] == []


def test_an_excerpt_reads_its_own_samples_and_starts_over_at_the_end():
    sounds = sound_store.hold_in_memory(
        [np.arange(10, dtype=np.float32), np.arange(100, 104, dtype=np.float32)]
    )
    assert read_excerpt(sounds, 0, 0.3, 4).tolist() == [3, 4, 5, 6]
    assert read_excerpt(sounds, 1, 0.5, 7).tolist() == [102, 103, 100, 101, 102, 103, 100]


def test_many_rooms_are_transformed_as_they_are_used_with_the_same_result(monkeypatch):
    around = open_noise_and_rooms(None, None, "train")
    crops = 0.1 * torch.randn(6, 4000, generator=torch.Generator().manual_seed(1))
    config = Augment(room_probability=0.8)
    kept = Augmenter(config, around)(crops, torch.Generator().manual_seed(2))
    monkeypatch.setattr(augmenter, "_CACHED_BINS", 0)
    anew = Augmenter(config, around)(crops, torch.Generator().manual_seed(2))
    assert torch.equal(kept, anew)
