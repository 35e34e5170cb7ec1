"""Audio in formats that are compressed with loss, or that libsndfile does not read."""

import builtins
import contextlib
import os
import resource

import numpy as np
import pytest
import soundfile

from spkmodel.data.audio import AudioError, decode, read, read_any_audio, seconds
from tests.support.corpora.compressed_files import tone, write_compressed

RATE = 16_000
LOSSY = [
    ("a.m4a", "aac", RATE, 1),
    ("a.mp4", "aac", 44_100, 2),
    ("a.aac", "aac", RATE, 1),
    ("a.mp3", "libmp3lame", RATE, 1),
    ("a.mp3", "libmp3lame", 44_100, 2),
    ("a.opus", "libopus", 48_000, 2),
    ("a.webm", "libopus", 48_000, 1),
    ("a.m4a", "aac", 8_000, 2),
    ("a.m4a", "aac", 96_000, 1),
    ("a.wma", "wmav2", 44_100, 1),
]


def amplitude(waveform, hertz=440):
    """Of the tone in the middle of a waveform."""
    inner = waveform[4000:-4000]
    turning = np.exp(-2j * np.pi * hertz * np.arange(len(inner)) / RATE)
    return 2 * abs((inner * turning).mean())


@pytest.mark.parametrize(("name", "codec", "rate", "channels"), LOSSY)
def test_a_tone_in_a_lossy_format_is_read_as_the_same_tone(tmp_path, name, codec, rate, channels):
    path = write_compressed(tmp_path / name, codec, tone(rate), rate, channels)
    waveform = read_any_audio(path)
    assert waveform.dtype == np.float32
    assert abs(len(waveform) - RATE) < RATE * 0.1
    # LAME makes everything 5 % softer.
    assert amplitude(waveform) == pytest.approx(0.5, rel=0.06)
    assert seconds(path) == pytest.approx(len(waveform) / RATE, abs=0.1)


def test_priming_and_filling_of_an_m4a_are_not_samples_of_the_utterance(tmp_path):
    # 1,024 samples of priming in front; the last packet is filled up to 1,024 samples.
    silence_then_tone = np.concatenate([np.zeros(8000, np.float32), tone(RATE)])
    path = write_compressed(tmp_path / "a.m4a", "aac", silence_then_tone, RATE)
    waveform = read_any_audio(path)
    assert len(waveform) == 24_000
    assert np.abs(waveform[:7000]).max() < 0.01
    np.testing.assert_allclose(waveform[9000:23_000], tone(RATE)[1000:15_000], atol=0.05)


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [("a.wv", "wavpack", "s16p"), ("a.tta", "tta", "s16"), ("a.m4a", "alac", "s16p")],
)
def test_lossless_formats_are_read_bit_for_bit(tmp_path, name, codec, form):
    integers = np.random.default_rng(0).integers(-9000, 9000, 8192, dtype=np.int16)
    waveform = integers.astype(np.float32) / 32768
    path = write_compressed(tmp_path / name, codec, waveform, RATE, samples=form)
    np.testing.assert_array_equal(read(path), integers)


@pytest.mark.parametrize(("rate", "subtype"), [(RATE, "PCM_16"), (8000, "ULAW")])
def test_sphere_files_are_read(tmp_path, rate, subtype):
    soundfile.write(tmp_path / "a.sph", tone(rate), rate, format="NIST", subtype=subtype)
    assert amplitude(read_any_audio(tmp_path / "a.sph")) == pytest.approx(0.5, rel=0.03)


def test_a_16_khz_mono_m4a_is_packed_as_it_is_and_another_form_is_refused(tmp_path):
    write_compressed(tmp_path / "a.m4a", "aac", tone(RATE), RATE)
    assert len(decode(tmp_path / "a.m4a").samples) == RATE
    write_compressed(tmp_path / "b.m4a", "aac", tone(44_100), 44_100)
    with pytest.raises(
        AudioError, match=r"b\.m4a: 44100 Hz, mono, mov aac; .*--resample"
    ) as caught:
        decode(tmp_path / "b.m4a")
    assert caught.value.kind == "other_form"


def test_a_video_gives_its_sound(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        picture = out.add_stream("mpeg4", rate=25)
        picture.width = picture.height = 32
        sound = out.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(RATE)[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        chunks = av.AudioResampler("fltp", "mono", RATE, 1024)
        for part in [*chunks.resample(frame), *chunks.resample(None)]:
            out.mux(sound.encode(part))
        for _ in range(25):
            black = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            out.mux(picture.encode(black))
        out.mux(sound.encode(None))
        out.mux(picture.encode(None))
    assert amplitude(read_any_audio(tmp_path / "a.mp4")) == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.m4a", "aac"), ("a.webm", "libopus"), ("a.mp3", "libmp3lame"), ("a.wma", "wmav2")],
)
def test_a_torn_file_is_an_error_that_names_it_and_not_a_shorter_utterance(tmp_path, name, codec):
    rate = 44_100 if codec == "wmav2" else RATE
    path = write_compressed(tmp_path / name, codec, tone(rate, 4.0), rate)
    os.truncate(path, path.stat().st_size * 6 // 10)
    with pytest.raises(AudioError, match=rf"a\.{name[2:]}: .*(cut short|damaged)"):
        read_any_audio(path)


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:3,\n{file}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("text", [PLAYLIST, "ffconcat version 1.0\nfile {file}\n"])
@pytest.mark.parametrize("name", ["p.m4a", "p.wav"])
def test_a_playlist_in_disguise_is_refused_and_what_it_names_is_not_opened(tmp_path, text, name):
    write_compressed(tmp_path / "a.m4a", "aac", tone(RATE), RATE)
    (tmp_path / name).write_text(text.format(file=tmp_path / "a.m4a"))
    with pytest.raises(AudioError, match="cannot be decoded"):
        read_any_audio(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"ftyp" * 200, bytes(range(256)) * 40])
def test_what_is_no_audio_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "a.m4a").write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.m4a: cannot be decoded"):
        read_any_audio(tmp_path / "a.m4a")


def test_damage_inside_an_m4a_is_an_error(tmp_path):
    path = write_compressed(tmp_path / "a.m4a", "aac", tone(RATE, 3.0), RATE)
    raw = bytearray(path.read_bytes())
    raw[4000:12_000:40] = bytes(200)
    path.write_bytes(raw)
    with pytest.raises(AudioError, match="damaged"):
        read_any_audio(path)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_end_in_an_error_of_ours_and_print_nothing(tmp_path, capfd, seed):
    rng = np.random.default_rng(seed)
    for name, codec in (("a.m4a", "aac"), ("a.webm", "libopus"), ("a.wv", "wavpack")):
        path = write_compressed(tmp_path / name, codec, tone(RATE), RATE)
        raw = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(20):
            damaged = raw.copy()
            damaged[rng.integers(0, len(raw), 20)] = rng.integers(0, 256, 20)
            at = rng.integers(0, 300)
            damaged[at : at + 3] = 255
            path.write_bytes(damaged.tobytes())
            with contextlib.suppress(AudioError):
                assert len(read_any_audio(path)) > 0
    assert capfd.readouterr() == ("", "")


def test_hours_of_silence_in_a_small_file_are_refused_before_they_fill_the_memory(tmp_path):
    rate = 8000
    path = write_compressed(tmp_path / "a.m4a", "aac", np.zeros(rate * 400, np.float32), rate)
    assert path.stat().st_size < 50_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AudioError, match="is all that is accepted of it"):
        read_any_audio(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_without_pyav_the_message_says_what_to_install(tmp_path, monkeypatch):
    write_compressed(tmp_path / "a.m4a", "aac", tone(RATE), RATE)
    soundfile.write(tmp_path / "a.wav", tone(RATE), RATE)
    really = builtins.__import__

    def without_av(name, *rest):
        if name == "av":
            raise ImportError("No module named 'av'")
        return really(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(AudioError, match=r"a\.m4a: .*pip install av") as caught:
        read_any_audio(tmp_path / "a.m4a")
    assert caught.value.kind == "no_decoder"
    assert len(read_any_audio(tmp_path / "a.wav")) == RATE
