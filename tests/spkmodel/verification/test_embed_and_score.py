"""What of an utterance reaches the encoder: all of it, or crops in batches."""

import numpy as np
import pytest
import torch
from torch import nn

from spkmodel.data.crops import Crops, cut_crops
from spkmodel.data.lists import Pair
from spkmodel.data.store_writing import write_store
from spkmodel.verification import embed_and_score, metrics
from spkmodel.verification.scoring import score_pairs

LENGTHS = {"a/0": 40_000, "a/1": 16_000, "b/0": 9_000, "b/1": 33_333, "b/2": 16_000}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    random = np.random.default_rng(0)
    utterances = [
        (name, name[0], "test", random.integers(-3000, 3000, size=length).astype(np.int16))
        for name, length in LENGTHS.items()
    ]
    return write_store(tmp_path_factory.mktemp("validate") / "store", utterances, {"sha256": "0"})


class Ears(nn.Module):
    """Embeds into a few numbers of the waveform, and writes down what it heard."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def forward(self, waveforms):
        self.heard.append(tuple(waveforms.shape))
        return torch.stack([waveforms[:, 0], waveforms.std(dim=1), waveforms[:, -1]], dim=1)


def test_crops_are_embedded_each_for_itself_and_in_batches_of_many_utterances(store):
    ears, crops = Ears(), Crops.from_seconds(3, 1.0)
    embeddings = embed_and_score.embed(ears, store, list(LENGTHS), crops=crops)
    assert list(embeddings) == list(LENGTHS)
    for name, found in embeddings.items():
        waveforms = torch.from_numpy(
            cut_crops(store.waveform(name), crops) / np.float32(32768)
        ).float()
        assert found.shape == (3, 3)
        assert found == pytest.approx(Ears()(waveforms), abs=1e-6)
    assert ears.heard == [(15, crops.samples)]


def test_a_batch_of_crops_is_no_longer_than_one_of_utterances(store):
    ears = Ears()
    embed_and_score.embed(ears, store, list(LENGTHS), crops=Crops.from_seconds(10, 2.0))
    assert [rows for rows, _ in ears.heard] == [20, 20, 10]
    ears = Ears()
    embed_and_score.embed(ears, store, list(LENGTHS), crops=Crops.from_seconds(100, 1.0))
    assert [rows for rows, _ in ears.heard] == [48, 48, 4] * len(LENGTHS)  # of one utterance


def test_without_crops_equal_lengths_go_together(store):
    ears = Ears()
    embeddings = embed_and_score.embed(ears, store, list(LENGTHS))
    assert sorted(ears.heard) == [(1, 8000), (1, 33_600 - 1600), (1, 40_000), (2, 16_000)]
    assert {tuple(each.shape) for each in embeddings.values()} == {(3,)}


def test_one_crop_has_the_distance_of_its_cosine(store):
    embeddings = embed_and_score.embed(
        Ears(), store, list(LENGTHS), crops=Crops.from_seconds(1, 1.0)
    )
    pairs = [Pair(True, "a/0", "a/1"), Pair(False, "a/0", "b/1"), Pair(False, "b/0", "a/1")]
    distances = score_pairs(embeddings, pairs, "crop_distance")
    assert distances == pytest.approx(-np.sqrt(2 - 2 * score_pairs(embeddings, pairs)))


def test_a_verdict_is_of_the_scores_that_it_was_told_to_use(store):
    embeddings = embed_and_score.embed(Ears(), store, list(LENGTHS))
    pairs = [Pair(a[0] == b[0], a, b) for a in LENGTHS for b in LENGTHS if a < b]
    plain = embed_and_score.evaluate_embeddings(embeddings, pairs, lambda name: name[0])
    turned = embed_and_score.evaluate_embeddings(
        embeddings, pairs, lambda name: name[0], score=lambda *given: -score_pairs(*given)
    )
    assert np.array_equal(turned.scores, -plain.scores)
    assert turned.threshold == pytest.approx(metrics.threshold_at_eer(-plain.scores, plain.targets))
