"""The corpus of tones, as files and packed."""

from pathlib import Path

import pytest

from tests.support.tone_corpus import write_corpus


@pytest.fixture(scope="session")
def tone_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("buzz"))


@pytest.fixture(scope="session")
def tone_store(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory):
    from spkmodel.data import corpus
    from spkmodel.data.store import Store
    from spkmodel.data.store_writing import pack_corpus

    packed = pack_corpus(corpus.open_corpus(tone_corpus), tmp_path_factory.mktemp("home"))
    return Store.open(packed)
