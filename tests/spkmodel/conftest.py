"""The corpus of buzzing voices, as files and packed."""

from pathlib import Path

import pytest

from tests.support.tone_corpus import write_corpus


@pytest.fixture(scope="session")
def tone_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("buzz"))


@pytest.fixture(scope="session")
def tone_store(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory):
    from spkmodel.data import corpus, store

    packed = store.pack(corpus.open_corpus(tone_corpus), tmp_path_factory.mktemp("home"))
    return store.Store.open(packed)
