"""What may come in an audio file, and what becomes of it."""

import os
import resource
import struct

import numpy as np
import pytest
import soundfile

from spkmodel.data.audio import AudioError, read, read_resampled

RATE = 16_000


def noise(seconds=0.5, rate=RATE, seed=0):
    samples = int(seconds * rate)
    return np.random.default_rng(seed).integers(-9000, 9000, samples, dtype=np.int16)


def tone(rate, seconds=0.5):
    time = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def damaged(path, at, new):
    raw = bytearray(path.read_bytes())
    raw[at : at + len(new)] = new
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_sixteen_bit_audio_is_read_bit_for_bit(tmp_path, name):
    soundfile.write(tmp_path / name, noise(), RATE)
    np.testing.assert_array_equal(read(tmp_path / name), noise())
    np.testing.assert_array_equal(read_resampled(tmp_path / name), noise())


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_24", "PCM_32"])
def test_finer_audio_is_rounded_to_sixteen_bits(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", noise() / 32768, RATE, subtype=subtype)
    np.testing.assert_array_equal(read(tmp_path / "a.wav"), noise())


def test_floats_beyond_full_scale_are_clipped_not_wrapped(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile([1.5, -1.5, 0.0], 600), RATE, subtype="FLOAT")
    assert read(tmp_path / "a.wav")[:3].tolist() == [32767, -32768, 0]


def test_ogg_is_read_close_to_what_was_written(tmp_path):
    soundfile.write(tmp_path / "a.ogg", tone(RATE), RATE)
    assert np.abs(read(tmp_path / "a.ogg") / 32768 - tone(RATE)).max() < 0.05


def test_a_minute_of_silence_is_not_taken_for_a_bomb(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(60 * RATE, np.int16), RATE)
    assert len(read(tmp_path / "a.flac")) == 60 * RATE


def test_a_wav_from_a_pipe_has_no_length_and_is_read_whole(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(), RATE)
    path = damaged(tmp_path / "a.wav", 40, struct.pack("<I", 0xFFFFFFFF))
    np.testing.assert_array_equal(read(path), noise())


@pytest.mark.parametrize(
    ("rate", "channels", "says"),
    [(8000, 1, "8000 Hz, mono"), (44100, 2, "44100 Hz, 2 channels"), (RATE, 2, "2 channels")],
)
def test_another_form_is_refused_with_its_rate_and_the_remedy(tmp_path, rate, channels, says):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([noise()] * channels, 1), rate)
    with pytest.raises(AudioError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "corpus pack DIR --resample" in str(caught.value)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (48000, 1), (RATE, 2)])
def test_a_tone_stays_itself_when_resampled(tmp_path, rate, channels):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(rate)] * channels, 1), rate)
    inner = slice(400, -400)
    error = read_resampled(tmp_path / "a.wav")[inner] / 32768 - tone(RATE)[inner]
    assert np.abs(error).max() < 0.01


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (10_000_000, 1), (48000, 64)])
def test_absurd_rates_and_channel_counts_are_not_resampled(tmp_path, rate, channels):
    soundfile.write(tmp_path / "a.wav", np.zeros((rate // 9 + 1, channels), np.int16), rate)
    with pytest.raises(AudioError, match="resampling takes 4000 to 192000 Hz"):
        read_resampled(tmp_path / "a.wav")


def test_a_header_that_claims_a_quarter_of_a_tebibyte_costs_no_memory(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(RATE, np.int16), RATE)
    raw = (tmp_path / "a.flac").read_bytes()
    first = bytes([(raw[21] & 0xF0) | 0x0F])
    path = damaged(tmp_path / "a.flac", 21, first + b"\xff\xff\xff\xf0")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AudioError, match="claims 68719476720 frames"):
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize("reader", [read, read_resampled])
def test_a_cut_file_is_an_error_and_not_a_shorter_utterance(tmp_path, name, reader):
    path = tmp_path / name
    soundfile.write(path, noise(1.0), RATE)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(AudioError, match=r"cut short|are too few"):
        reader(path)


def test_damage_inside_a_flac_is_an_error(tmp_path):
    soundfile.write(tmp_path / "a.flac", noise(1.0), RATE)
    with pytest.raises(AudioError, match="cannot be decoded"):
        read(damaged(tmp_path / "a.flac", 12_000, b"abcdefghij"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_an_error(tmp_path, value):
    soundfile.write(tmp_path / "a.wav", np.r_[np.zeros(1799), value], RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="1 of 1800 values are NaN or infinite"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("content", [b"", b"hello" * 100, b"RIFF", b"fLaC\0\0\0\x22"])
def test_what_is_not_audio_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.wav: cannot be decoded"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("samples", [0, 1, 1599])
def test_a_file_with_next_to_nothing_in_it_is_an_error(tmp_path, samples):
    soundfile.write(tmp_path / "a.wav", np.zeros(samples, np.int16), RATE)
    with pytest.raises(AudioError, match=f"{samples} frames .* are too few"):
        read(tmp_path / "a.wav")


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="not a regular file"):
        read(tmp_path / "a.wav")
