"""The corpus of buzzing voices, as files and packed."""

from pathlib import Path

import pytest

from tests.support import buzz


@pytest.fixture(scope="session")
def buzz_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return buzz.write_corpus(tmp_path_factory.mktemp("buzz"))


@pytest.fixture(scope="session")
def buzz_store(buzz_corpus: Path, tmp_path_factory: pytest.TempPathFactory):
    from spkmodel.data import corpus, store

    packed = store.pack(corpus.open_corpus(buzz_corpus), tmp_path_factory.mktemp("home"))
    return store.Store.open(packed)
