"""The built-in corpus: real speech, the same bytes again, whole or not at all."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spkmodel.data.corpus import open_corpus
from spkmodel.data.demo import DemoCorpusError, voices
from spkmodel.data.demo import corpus as demo_corpus
from spkmodel.data.demo.corpus import make_demo_corpus
from spkmodel.data.demo.sentences import draw_sentence
from spkmodel.data.demo.voices import is_high_voice
from spkmodel.data.lists import read_pairs, read_train_list

pytest.importorskip("espeakng_loader", reason="the extra [demo] is not installed")

VOICES, UTTERANCES = 8, 3


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_demo_corpus(tmp_path_factory.mktemp("demo") / "corpus", VOICES, UTTERANCES, seed=3)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def spoken(folder: Path, voice: int, utterance: int) -> np.ndarray:
    return soundfile.read(folder / f"wav/voice{voice:03d}/{utterance:02d}.flac")[0]


def test_every_utterance_is_16_khz_mono_and_two_to_four_seconds_long(made):
    files = sorted(made.glob("wav/*/*.flac"))
    assert len(files) == VOICES * UTTERANCES
    for path in files:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert 2 <= info.duration <= 4


def test_utterances_are_audible_differ_and_do_not_clip(made):
    waveforms = [spoken(made, voice, k) for voice in range(VOICES) for k in range(UTTERANCES)]
    for waveform in waveforms:
        assert 0.01 < waveform.std() < 0.2
        assert np.mean(np.abs(waveform) > 0.99) < 1e-3
    assert len({waveform.tobytes() for waveform in waveforms}) == len(waveforms)


def test_it_has_the_rhythm_of_speech_not_of_noise(made):
    for voice in range(VOICES):
        waveform = spoken(made, voice, 0)
        frames = waveform[: len(waveform) // 400 * 400].reshape(-1, 400)
        levels_db = 20 * np.log10(frames.std(axis=1))
        assert np.percentile(levels_db, 95) - np.percentile(levels_db, 5) > 4


def test_low_voices_are_lower_than_high_ones(made):
    pitches = [np.median([pitch_hz(spoken(made, v, k)) for k in range(3)]) for v in range(VOICES)]
    low = [hz for voice, hz in enumerate(pitches) if not is_high_voice(voice, seed=3)]
    high = [hz for voice, hz in enumerate(pitches) if is_high_voice(voice, seed=3)]
    assert np.mean(high) > 1.3 * np.mean(low)
    assert min(low) < 130
    assert max(high) > 200


def pitch_hz(waveform: np.ndarray) -> float:
    """Median over the loudest frames of the highest peak of the autocorrelation."""
    frames = waveform[: len(waveform) // 800 * 800].reshape(-1, 800)
    loudest = frames[np.argsort(frames.std(axis=1))[-12:]]
    found = []
    for frame in loudest:
        spectrum = np.abs(np.fft.rfft(frame - frame.mean(), 2048)) ** 2
        correlation = np.fft.irfft(spectrum)[: 16000 // 60]
        found.append(16000 / (16000 // 400 + correlation[16000 // 400 :].argmax()))
    return float(np.median(found))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones(made, tmp_path):
    again = make_demo_corpus(tmp_path / "again", VOICES, UTTERANCES, seed=3)
    assert digests(again) == digests(made)
    other = make_demo_corpus(tmp_path / "other", 6, 2, seed=4)
    assert not set(digests(other).values()) & set(digests(made).values())


def test_a_voice_is_the_same_with_more_voices_and_utterances_around_it(made, tmp_path):
    fewer = make_demo_corpus(tmp_path / "fewer", 6, 2, seed=3)
    name = "wav/voice004/00.flac"
    assert spoken(fewer, 4, 0).shape == spoken(made, 4, 0).shape
    assert digests(fewer)[name] == digests(made)[name]


def test_its_lists_are_disjoint_by_speaker_and_read_back(made):
    corpus = open_corpus(made)
    speakers = {
        split: {
            corpus.speaker_of[path] for path in corpus.utterances() if split_is(corpus, path, split)
        }
        for split in ("train", "dev", "test")
    }
    assert sum(len(names) for names in speakers.values()) == VOICES
    assert all(len(names) >= 2 for names in speakers.values())
    assert not corpus.dev_from_train


def split_is(corpus, path: str, split: str) -> bool:
    return corpus.split_of(path) == split


@pytest.mark.parametrize("name", ["valid_trials.txt", "test_trials.txt"])
def test_pairs_are_balanced_and_each_occurs_once(made, name):
    pairs = read_pairs(made / name)
    targets = sum(pair.target for pair in pairs)
    assert targets == len(pairs) - targets == 2 * 3
    assert len({frozenset((pair.enrolment, pair.test)) for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert pair.target == (Path(pair.enrolment).parent == Path(pair.test).parent)


def test_half_of_the_non_target_pairs_are_within_one_pitch_class():
    chance = np.random.default_rng(0)
    pairs = demo_corpus._balanced_pairs(range(10, 25), 8, 0, chance)
    others = [pair for pair in pairs if not pair.target]
    voices = [tuple(int(path[9:12]) for path in (p.enrolment, p.test)) for p in others]
    alike = sum((one - other) % 2 == 0 for one, other in voices)
    assert len(others) == len(pairs) / 2 == 15 * 28
    assert alike == len(others) / 2


def test_a_complete_corpus_is_used_again(made, monkeypatch):
    monkeypatch.setattr(demo_corpus, "record_voices", None)
    assert make_demo_corpus(made, VOICES, UTTERANCES, seed=3) == made


def test_a_folder_that_holds_something_else_is_left_alone(made, tmp_path):
    with pytest.raises(DemoCorpusError, match="another built-in corpus"):
        make_demo_corpus(made, VOICES, UTTERANCES, seed=9)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DemoCorpusError, match="holds something else"):
        make_demo_corpus(tmp_path, 6, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(voices, "_ACCENTS", ("of-the-moon",))
    with pytest.raises(DemoCorpusError, match=r"no voice of-the-moon\+voice"):
        make_demo_corpus(tmp_path / "corpus", 6, 2)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(DemoCorpusError, match=r"pip install 'spksearch\[demo\]'"):
        make_demo_corpus(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_too_few_voices_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least 6 voices x 2 utterances, got 5 x 8"):
        make_demo_corpus(tmp_path / "corpus", voices=5)


def test_progress_ends_at_the_number_of_utterances(tmp_path):
    calls: list[tuple[int, int]] = []
    make_demo_corpus(tmp_path / "corpus", 6, 2, progress=lambda *call: calls.append(call))
    assert calls == [(2 * done, 12) for done in range(1, 7)]
    assert len(read_train_list(tmp_path / "corpus" / "train_list.txt")) == 4


def test_sentences_are_plain_english_and_hardly_ever_the_same():
    chance = np.random.default_rng(0)
    sentences = [draw_sentence(chance) for _ in range(1000)]
    assert len(set(sentences)) > 950
    for sentence in sentences:
        assert sentence[0].isupper()
        assert sentence[-1] in ".?"
        assert 7 <= len(sentence.split()) <= 14
        assert "{" not in sentence
