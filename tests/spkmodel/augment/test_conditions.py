"""Conditions: seeded by path, stored once, without clipping."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spkmodel.augment import conditions
from spkmodel.augment.conditions import (
    CONDITIONS,
    apply_to_stored,
    codec,
    conditioned_store,
    stores,
    telephone,
)
from spkmodel.augment.conditions.recipes import DIRECT_SAMPLES, lower_direct_sound
from spkmodel.augment.noise_and_rooms import NoiseAndRooms
from spkmodel.data.lists import Pair
from spkmodel.data.store import Store
from spkmodel.data.store_writing import write_store


def waveform_of(name: str, samples: int = 8000) -> np.ndarray:
    chance = np.random.default_rng(list(name.encode()))
    return (0.1 * chance.standard_normal(samples)).astype(np.float32)


@pytest.fixture(scope="module")
def around() -> NoiseAndRooms:
    chance = np.random.default_rng(1)
    room = np.concatenate([[3], chance.standard_normal(800) * np.exp(-np.arange(800) / 100)])
    rooms = ((room / np.linalg.norm(room)).astype(np.float32),)
    ambiences = tuple(chance.standard_normal(9000).astype(np.float32) for _ in range(2))
    return NoiseAndRooms.from_arrays(ambiences, rooms, ("a", "b", "c"))


@pytest.fixture
def store(tmp_path) -> Store:
    rows = [
        (f"wav/{speaker}/{k}.wav", speaker, split)
        for speaker, split in (("ann", "train"), ("ben", "dev"), ("cec", "dev"), ("dan", "test"))
        for k in range(2)
    ]
    utterances = [
        (path, speaker, split, (waveform_of(path) * 32767).astype(np.int16))
        for path, speaker, split in rows
    ]
    pairs = [
        Pair(True, "wav/ben/0.wav", "wav/ben/1.wav"),
        Pair(False, "wav/ben/0.wav", "wav/cec/1.wav"),
    ]
    return write_store(tmp_path / "store", utterances, {"sha256": "ab" * 32}, pairs)


def test_clean_is_the_waveform_itself(around):
    waveform = waveform_of("a")
    assert conditions.apply_to_waveform("clean", waveform, "a", around) is waveform


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_utterance_sounds_the_same_whatever_was_heard_before(around, condition):
    first = conditions.apply_to_waveform(condition, waveform_of("a"), "a", around)
    conditions.apply_to_waveform(condition, waveform_of("b"), "b", around)
    again = conditions.apply_to_waveform(condition, waveform_of("a"), "a", around)
    assert np.array_equal(first, again)
    assert first.shape == (8000,)
    assert first.dtype == np.float32


@pytest.mark.parametrize("condition", sorted(set(CONDITIONS) - {"clean", "telephone", "short"}))
def test_the_same_waveform_under_another_path_sounds_otherwise(around, condition):
    waveform = waveform_of("a")
    one = conditions.apply_to_waveform(condition, waveform, "a", around)
    assert any(
        np.abs(one - conditions.apply_to_waveform(condition, waveform, other, around)).max() > 1e-4
        for other in "bcde"
    )


def test_the_mismatched_condition_is_as_it_was_before_there_were_others():
    """Frozen: every 500th sample. The Fourier transform may round the last bit otherwise."""
    chance = np.random.default_rng(0)
    rooms = []
    for taps in (800, 3000):
        room = chance.standard_normal(taps) * np.exp(-np.arange(taps) / 200)
        room[0] = 5
        rooms.append((room / np.linalg.norm(room)).astype(np.float32))
    ambiences = [chance.standard_normal(length).astype(np.float32) for length in (900, 20000)]
    around = NoiseAndRooms.from_arrays(tuple(ambiences), tuple(rooms), ("a", "b", "c", "d"))
    for k, expected in enumerate(
        [
            [1565, 7446, 4539, 8891, 2002, -1969],
            [3454, -4979, -31, 3423, 456, 5582],
            [-147, -1830, -2741, 1705, 5507, -3932],
        ]
    ):
        waveform = (3000 * np.random.default_rng(k).standard_normal(3000)).astype(np.int16)
        heard = apply_to_stored("mismatched", waveform, f"u{k}", around)[::500]
        assert np.abs(heard - np.array(expected)).max() <= 1


_RECIPE = """
import hashlib, numpy as np
from spkmodel.augment import conditions, noise_and_rooms
sound = np.sin(np.arange(5000) ** 1.1).astype(np.float32)
around = noise_and_rooms.NoiseAndRooms.from_arrays((sound,), (sound[2:300],), ("a", "b"))
heard = conditions.apply_to_stored("mismatched", (9000 * sound).astype(np.int16), "x", around)
digest = hashlib.sha256(heard.tobytes()).hexdigest()
"""


def test_another_process_hears_the_same():
    told = subprocess.run(
        [sys.executable, "-c", _RECIPE + "print(digest)"],
        cwd=Path(conditions.__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    here: dict[str, str] = {}
    exec(_RECIPE, here)
    assert told.stdout.strip() == here["digest"]


@pytest.mark.parametrize("condition", ["mismatched", "far_field", "telephone", "codec"])
def test_loud_speech_is_made_quieter_and_does_not_clip(around, condition):
    loud = np.where(np.arange(8000) % 50 < 25, 32767, -32768).astype(np.int16)
    for number in range(8):
        heard = apply_to_stored(condition, loud, f"loud{number}", around)
        assert np.abs(heard.astype(int)).max() <= 0.99 * 32768 + 1
        assert np.mean(np.abs(heard) >= 0.98 * 32768) < 0.1


@pytest.mark.parametrize("condition", CONDITIONS)
def test_digital_silence_and_very_short_utterances_are_borne(around, condition):
    for name in "abcd":
        silence = apply_to_stored(condition, np.zeros(4000, np.int16), name, around)
        assert len(silence) == 4000
        # GSM's quietest frame is not quite silence.
        assert np.abs(silence).max() <= (8 if condition == "codec" else 0)
        assert len(apply_to_stored(condition, np.full(7, 500, np.int16), name, around)) == 7


# --- what each of them does ------------------------------------------------------------------


def tone(hz: float, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    time = np.arange(int(seconds * 16000)) / 16000
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


@pytest.mark.parametrize(
    ("hz", "low_db", "high_db"),
    [
        (50, -999, -35),
        (150, -999, -30),
        (350, -1, 1),
        (1000, -1, 1),
        (3300, -1, 1),
        (3700, -999, -30),
    ],
)
def test_a_telephone_passes_300_to_3400_hz(hz, low_db, high_db):
    heard = telephone.transmit(tone(hz) + tone(800))
    middle = slice(2000, 14000)
    size = np.abs(np.vdot(heard[middle], np.exp(2j * np.pi * hz * np.arange(16000)[middle] / 16e3)))
    assert low_db < 20 * np.log10(size / 12000 / 0.05 + 1e-9) < high_db


def test_a_telephone_has_no_more_than_g711s_signal_to_noise():
    speech = tone(1000)
    noise = telephone.transmit(speech)[2000:14000] - speech[2000:14000]
    snr_db = 10 * np.log10(np.mean(speech**2) / np.mean(noise**2))
    assert 30 < snr_db < 42


def test_mu_law_has_256_values_with_finer_steps_for_the_quiet():
    decoded = np.unique(telephone.mu_law(np.linspace(-0.999, 0.999, 60000, dtype=np.float32)))
    assert len(decoded) in (255, 256)
    steps = np.diff(decoded[decoded > 0])
    # G.711: the step doubles from segment to segment, 7 times in all.
    assert steps.max() / steps.min() == pytest.approx(128, rel=0.01)


def test_a_telephones_quantisation_does_not_depend_on_the_recordings_level():
    loud, soft = (telephone.transmit(level * tone(1000)) for level in (1.0, 0.01))
    np.testing.assert_allclose(loud * 0.01, soft, atol=1e-6)


def test_short_is_one_second_from_anywhere_and_leaves_shorter_ones_whole(around):
    waveform = np.arange(40000, dtype=np.float32)
    starts = set()
    for number in range(200):
        heard = conditions.apply_to_waveform("short", waveform, str(number), around)
        assert np.array_equal(heard, np.arange(heard[0], heard[0] + 16000))
        starts.add(float(heard[0]))
    assert min(starts) < 1000 < 23000 < max(starts) <= 24000


def test_a_distant_room_has_the_ratio_of_direct_to_reverberant_sound_and_unit_energy(around):
    def ratio_db(response):
        parts = np.split(np.square(response, dtype=np.float64), [DIRECT_SAMPLES])
        return float(10 * np.log10(parts[0].sum() / parts[1].sum()))

    room = around.rooms[0]
    near_db = ratio_db(room)
    farther = lower_direct_sound(room, near_db - 9)
    assert ratio_db(farther) == pytest.approx(near_db - 9, abs=0.05)
    assert np.sum(farther**2.0) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(lower_direct_sound(room, near_db + 3), room, rtol=1e-5)


def test_far_field_is_noisier_than_mismatched_and_always_in_a_room():
    click = np.zeros(16000, np.float32)
    click[8000] = 0.5
    room = np.zeros(2000, np.float32)
    room[0], room[1500] = 0.8, 0.6
    silent = NoiseAndRooms.from_arrays((np.full(100, 1e-9, np.float32),), (room,), ("a", "r"))
    noisy = NoiseAndRooms.from_arrays(
        (np.resize([0.1, -0.1], 900).astype(np.float32),), (room,), ("a", "r")
    )
    for name in "abcdefgh":
        dry = conditions.apply_to_waveform("far_field", click, name, silent)
        assert dry[9500] > dry[8000] > 0
        added = conditions.apply_to_waveform("far_field", click, name, noisy) - dry
        assert 0 <= 10 * np.log10(np.mean(dry**2.0) / np.mean(added**2.0)) + 1e-3 <= 10.01


def test_every_codec_loses_something_but_no_sample_and_no_time():
    dull = np.convolve(waveform_of("a"), np.hanning(12), "same")
    speech = (dull * (1 + np.sin(np.arange(8000) / 600)) / 4).astype(np.float32)
    for each in codec.CODECS:
        heard = codec.encode_and_decode(speech, each)
        assert heard.shape == speech.shape
        correlation = np.fft.irfft(np.fft.rfft(heard) * np.conj(np.fft.rfft(speech)))
        assert int(np.abs(correlation).argmax()) in (0, 1, 7999), each.name
        snr_db = 10 * np.log10(np.mean(speech**2) / np.mean((heard - speech) ** 2))
        assert -3 < snr_db < 30, each.name
        assert np.array_equal(heard, codec.encode_and_decode(speech, each)), each.name


def test_the_codec_of_an_utterance_is_drawn_by_its_path(around, monkeypatch):
    drawn = []
    monkeypatch.setattr(codec, "encode_and_decode", lambda w, each: drawn.append(each.name) or w)
    for number in range(100):
        conditions.apply_to_waveform("codec", waveform_of("a", 100), str(number), around)
    counts = [drawn.count(each.name) for each in codec.CODECS]
    assert min(counts) > 8


def test_quiet_falls_by_30_to_50_db_and_keeps_so_many_steps_less(around):
    full = np.resize([20000, -20000], 4000).astype(np.int16)
    levels = {int(np.abs(apply_to_stored("quiet", full, str(k), around)).max()) for k in range(200)}
    assert 63 <= min(levels) < 80
    assert 550 < max(levels) <= 633


def test_clipped_cuts_1_to_10_percent_of_the_samples_to_one_level(around):
    waveform = waveform_of("a")
    shares = []
    for number in range(100):
        heard = conditions.apply_to_waveform("clipped", waveform, str(number), around)
        at_limit = np.abs(heard) == np.abs(heard).max()
        assert np.array_equal(heard[~at_limit], waveform[~at_limit])
        shares.append(at_limit.mean())
    assert 0.009 < min(shares) < 0.03
    assert 0.08 < max(shares) < 0.101


def test_the_clean_store_is_the_store_itself(store):
    assert conditioned_store(store, "dev", "clean", None, None) is store


@pytest.mark.parametrize("condition", sorted(set(CONDITIONS) - {"clean", "short"}))
def test_a_conditioned_store_has_its_splits_utterances_under_their_ids(store, condition):
    heard = conditioned_store(store, "dev", condition, None, None)
    assert heard.ids == store.of_split("dev") == heard.of_split("dev")
    assert heard.folder.parent == store.folder
    assert heard.dev_pairs == store.dev_pairs
    for path in heard.ids:
        assert heard.speaker(path) == store.speaker(path)
        assert len(heard.waveform(path)) == len(store.waveform(path))
        assert not np.array_equal(heard.waveform(path), store.waveform(path))
    test = conditioned_store(store, "test", condition, None, None)
    assert test.folder != heard.folder
    assert test.dev_pairs == []


def test_a_conditioned_store_is_made_once_and_anew_when_it_was_damaged(store, monkeypatch):
    heard = conditioned_store(store, "dev", "mismatched", None, None)
    waveform = np.array(heard.waveform("wav/ben/0.wav"))
    stamp = (heard.folder / "audio.i16").stat().st_mtime_ns
    with monkeypatch.context() as patched:
        patched.setattr(stores, "write_store", None)
        conditioned_store(store, "dev", "mismatched", None, None)
    with (heard.folder / "audio.i16").open("ab") as out:
        out.write(b"xx")
    again = conditioned_store(store, "dev", "mismatched", None, None)
    assert (again.folder / "audio.i16").stat().st_mtime_ns != stamp
    assert np.array_equal(again.waveform("wav/ben/0.wav"), waveform)


def test_conditions_that_take_place_nowhere_do_not_depend_on_noise_and_rooms(store, tmp_path):
    nowhere = tmp_path / "no such folder"
    for condition in ("telephone", "short", "codec", "quiet", "clipped"):
        one = conditioned_store(store, "dev", condition, None, None)
        assert conditioned_store(store, "dev", condition, nowhere, nowhere).folder == one.folder


def test_a_codecs_store_is_made_anew_by_another_version_of_the_library(store, monkeypatch):
    one = conditioned_store(store, "dev", "codec", None, None)
    monkeypatch.setattr(codec, "library", lambda: "libsndfile 9")
    assert conditioned_store(store, "dev", "codec", None, None).sha256 != one.sha256


def test_a_failure_leaves_no_conditioned_store_behind(store, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(stores, "apply_to_stored", broken)
    before = sorted(path.name for path in store.folder.iterdir())
    with pytest.raises(RuntimeError, match="on purpose"):
        conditioned_store(store, "dev", "mismatched", None, None)
    assert sorted(path.name for path in store.folder.iterdir()) == before


def test_a_split_without_utterances_is_an_error(tmp_path):
    bare = write_store(
        tmp_path / "bare", [("a", "ann", "train", np.ones(9, np.int16))], {"sha256": "0" * 64}
    )
    with pytest.raises(ValueError, match="has no test utterances"):
        conditioned_store(bare, "test", "mismatched", None, None)
