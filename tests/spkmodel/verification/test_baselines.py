"""The floors: their numbers by brute force, and what they make of pairs."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from spkmodel.data.lists import Pair
from spkmodel.data.store import Store
from spkmodel.data.store_writing import write_store
from spkmodel.verification import baselines


def voice(pitch_hz: float, seed: int, samples: int = 8000) -> np.ndarray:
    """A buzz of many harmonics, in bursts, with a little noise."""
    chance = np.random.default_rng(seed)
    time = np.arange(samples) / 16000
    buzz = sum(np.cos(2 * np.pi * pitch_hz * k * time) / k for k in range(1, 20))
    sound = buzz * (np.sin(2 * np.pi * 4 * time) > -0.5) + 0.02 * chance.standard_normal(samples)
    return (2000 * sound).astype(np.int16)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    splits = ["train"] * 6 + ["test"] * 4
    utterances = [
        (f"s{number}/{k}", f"s{number}", split, voice(90 + 17 * number + k, 10 * number + k))
        for number, split in enumerate(splits)
        for k in range(4)
    ]
    return write_store(tmp_path_factory.mktemp("s") / "store", utterances, {"sha256": "0" * 64})


@pytest.fixture(scope="module")
def pairs(store) -> list[Pair]:
    names = store.of_split("test")
    return [
        Pair(store.speaker(one) == store.speaker(other), one, other)
        for place, one in enumerate(names)
        for other in names[place + 1 :]
    ]


def test_the_numbers_of_an_utterance_are_those_of_the_recipe():
    waveform = voice(120, 0, 2000)
    frames = [
        np.abs(np.fft.rfft(waveform[s : s + 400] / 32768 * np.hamming(400), 512)) ** 2
        for s in range(0, 2000 - 399, 160)
    ]
    edges = 700 * (
        10 ** (np.linspace(*2595 * np.log10(1 + np.array([60, 7600]) / 700), 42) / 2595) - 1
    )
    hz = np.arange(257) * 16000 / 512
    bands = np.array([np.interp(hz, edges[b : b + 3], [0, 1, 0]) for b in range(40)])
    log_mels = np.log(np.array(frames) @ bands.T + 1e-8)
    energy = log_mels.mean(axis=1)
    kept = log_mels[energy >= np.percentile(energy, 30)]
    expected = np.array(
        [
            [
                np.sqrt(2 / 40)
                * sum(row[m] * np.cos(np.pi * k * (m + 0.5) / 40) for m in range(40))
                for k in range(1, 30)
            ]
            for row in kept
        ]
    )
    numbers = baselines.mel_statistics(waveform)
    assert numbers.shape == (58,)
    np.testing.assert_allclose(numbers[:29], expected.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(numbers[29:], expected.std(axis=0), atol=1e-3)


@pytest.mark.parametrize("samples", [1, 399, 400, 401])
def test_silence_and_very_short_utterances_give_finite_numbers(samples):
    assert np.isfinite(baselines.mel_statistics(np.zeros(samples, np.int16))).all()


def test_lda_finds_the_directions_that_scikit_learn_finds():
    chance = np.random.default_rng(0)
    speakers = np.repeat(np.arange(5), 30)
    numbers = chance.standard_normal((150, 7)) * 2 + 3 * chance.standard_normal((5, 7))[speakers]
    ours = baselines.lda_directions(numbers, speakers)
    assert ours.shape == (7, 4)
    theirs = LinearDiscriminantAnalysis(solver="svd").fit(numbers, speakers).scalings_
    one, other = (np.linalg.qr(directions)[0] for directions in (ours, theirs))
    assert np.linalg.svd(one.T @ other)[1].min() > 0.999


def test_lda_bears_more_dimensions_than_utterances():
    numbers = np.random.default_rng(0).standard_normal((6, 58))
    directions = baselines.lda_directions(numbers, np.array(["a", "a", "b", "b", "c", "c"]))
    assert directions.shape == (58, 2)
    assert np.isfinite(directions).all()


def test_both_floors_are_computed_from_a_training_list(store, pairs):
    found = baselines.compute_baselines(store, store, pairs)
    assert [floor.name for floor in found] == [
        "mel statistics, cosine",
        "mel statistics, LDA, cosine",
    ]
    for floor in found:
        assert 0 <= floor.eer <= 0.5
        # Its 4 speakers are too few for an interval.
        assert (floor.low, floor.high) == (None, None)
        assert floor.scores.shape == (len(pairs),)
        assert np.abs(floor.scores).max() <= 1 + 1e-9


def test_without_a_training_list_there_is_the_cosine_alone_and_its_name_says_so(
    store, pairs, tmp_path
):
    (floor,) = baselines.compute_baselines(None, store, pairs)
    assert floor.name == "mel statistics, cosine (standardised on these utterances)"
    untrained = write_store(
        tmp_path / "bare",
        [(path, "x", "test", store.waveform(path)) for path in store.of_split("test")],
        {"sha256": "1" * 64},
    )
    (same,) = baselines.compute_baselines(untrained, store, pairs)
    assert same.eer == floor.eer


def test_in_a_condition_the_floors_are_trained_in_it(store, pairs, monkeypatch):
    heard = []

    def hear(condition, waveform, utterance, noise_and_rooms):
        assert condition == "mismatched"
        assert noise_and_rooms.names[0].endswith("train 0")
        heard.append(utterance)
        return waveform

    monkeypatch.setattr(baselines, "apply_to_stored", hear)
    baselines.compute_baselines(store, store, pairs, "mismatched")
    assert sorted(heard) == sorted(store.of_split("train"))  # threads take turns


def test_progress_counts_training_and_tested_utterances_once(store, pairs):
    calls: list[tuple[int, int]] = []
    baselines.compute_baselines(store, store, pairs, progress=lambda *call: calls.append(call))
    assert calls == [(done, 40) for done in range(1, 41)]
