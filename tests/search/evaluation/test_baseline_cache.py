"""The baselines of a list are computed once, and again when anything that decides them changes."""

import os
from dataclasses import fields

import numpy as np
import pytest
import soundfile

from search.core.progress import Silent
from search.evaluation import baseline_cache
from search.evaluation.baseline_cache import Recordings
from search.evaluation.pair_list import PairList
from spkmodel.augment.conditions import conditioned_store
from spkmodel.data.lists import Pair
from spkmodel.data.store import Store
from spkmodel.data.store_writing import write_store
from spkmodel.verification import baselines

BUILT_IN = Recordings(None, None)


class LinesKept(Silent):
    """A display that keeps its lines."""

    def __init__(self):
        self.lines = []

    def print_line(self, text):
        self.lines.append(text)


def make_store(folder, sha256="0" * 64) -> Store:
    random = np.random.default_rng(0)
    utterances = [
        (f"s{n}/{k}", f"s{n}", "train" if n < 4 else "test",
         (2000 * random.standard_normal(6000) * (1 + n)).clip(-32000, 32000).astype(np.int16))
        for n in range(7) for k in range(3)
    ]  # fmt: skip
    return write_store(folder, utterances, {"sha256": sha256})


@pytest.fixture
def store(tmp_path) -> Store:
    return make_store(tmp_path / "store")


def describe(baseline):
    return {
        each.name: getattr(baseline, each.name)
        for each in fields(baseline)
        if each.name != "scores"
    }


def list_pairs(store, name="list") -> PairList:
    names = store.of_split("test")
    pairs = [Pair(a[:2] == b[:2], a, b) for place, a in enumerate(names) for b in names[:place]]
    return PairList.from_pairs(name, pairs, store)


@pytest.fixture
def calls(monkeypatch):
    """What was computed, by condition."""
    made, compute = [], baselines.compute_baselines

    def count(store, conditioned, pairs, condition, *rest, **more):
        made.append(condition)
        return compute(store, conditioned, pairs, condition, *rest, **more)

    monkeypatch.setattr(baselines, "compute_baselines", count)
    return made


def find(store, pairs, condition="clean", recordings=BUILT_IN, display=None):
    conditioned = conditioned_store(store, "test", condition, recordings.noise, recordings.rooms)
    return baseline_cache.find_or_compute(
        store, conditioned, pairs, condition, recordings, display or LinesKept()
    )


def test_the_second_time_nothing_is_computed_and_the_results_are_the_same(store, calls):
    pairs = list_pairs(store)
    for condition in ("clean", "mismatched"):
        first, second = (
            find(store, pairs, condition),
            find(Store.open(store.folder), pairs, condition),
        )
        for one, other in zip(first, second, strict=True):
            assert np.array_equal(one.scores, other.scores)
            assert describe(one) == describe(other)
    assert calls == ["clean", "mismatched"]


def test_other_noise_pairs_corpus_or_version_is_computed_anew(store, calls, tmp_path, monkeypatch):
    pairs = list_pairs(store)
    find(store, pairs, "mismatched")
    noise = tmp_path / "noise"
    noise.mkdir()
    for number in range(3):
        hiss = 0.1 * np.random.default_rng(number).standard_normal(16000)
        soundfile.write(noise / f"{number}.wav", hiss, 16000)
    find(store, pairs, "mismatched", Recordings(noise, None))
    assert len(calls) == 2
    fewer = PairList(pairs.name, pairs.pairs[:-1], pairs.split)
    assert len(find(store, fewer, "mismatched")[0].scores) == len(pairs.pairs) - 1
    assert len(calls) == 3
    other = make_store(tmp_path / "other", "1" * 64)
    (tmp_path / "other" / baseline_cache.FOLDER).symlink_to(store.folder / baseline_cache.FOLDER)
    find(other, pairs, "mismatched")
    assert len(calls) == 4
    monkeypatch.setattr(baselines, "VERSION", baselines.VERSION + 1)
    find(store, pairs, "mismatched")
    assert len(calls) == 5


@pytest.mark.parametrize("damage", ["cut", "changed", "of_other_pairs"])
def test_a_damaged_file_is_told_and_computed_again(store, calls, damage):
    pairs = list_pairs(store)
    find(store, pairs)
    (file,) = (store.folder / baseline_cache.FOLDER).iterdir()
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        content[200] ^= 1
        file.write_bytes(content)
    else:
        with np.load(file) as arrays:
            np.savez(file, scores=arrays["scores"][:, :-1], about=arrays["about"])
    display = LinesKept()
    find(store, pairs, display=display)
    assert len(display.lines) == 1
    assert str(file) in display.lines[0]
    assert "computed again" in display.lines[0]
    find(store, pairs, display=display)
    assert (len(calls), len(display.lines)) == (2, 1)


def test_the_files_that_were_used_longest_ago_are_removed(store, calls, monkeypatch):
    monkeypatch.setattr(baseline_cache, "MOST_FILES", 2)
    pairs = list_pairs(store)
    lists = [PairList("list", pairs.pairs[drop:], pairs.split) for drop in range(3)]
    folder = store.folder / baseline_cache.FOLDER
    for number, each in enumerate(lists[:2]):
        known = set(folder.iterdir()) if folder.exists() else set()
        find(store, each)
        (new,) = set(folder.iterdir()) - known
        os.utime(new, (number, number))
    find(store, lists[0])  # used again: the second is now the oldest
    find(store, lists[2])
    assert len(list(folder.iterdir())) == 2
    find(store, lists[0])
    assert len(calls) == 3
    find(store, lists[1])
    assert len(calls) == 4


def test_where_nothing_can_be_kept_the_results_come_and_it_is_told(store):
    (store.folder / baseline_cache.FOLDER).write_text("in the way")
    display = LinesKept()
    assert len(find(store, list_pairs(store), display=display)) == 2
    assert "not kept for the next time" in display.lines[-1]
