"""Where the recordings of ambiences and rooms are found."""

import pytest

from search.core.errors import UsageError
from search.data.noise_and_rooms import find_recordings


def test_surroundings_come_from_the_flag_then_the_environment_then_the_corpus(
    tmp_path, monkeypatch
):
    for name in ("asked", "environment", "corpus/noise"):
        (tmp_path / name).mkdir(parents=True)
    corpus = tmp_path / "corpus"
    assert find_recordings(None, "noise", tmp_path) is None
    assert find_recordings(None, "noise", corpus) == corpus / "noise"
    monkeypatch.setenv("SPKSEARCH_NOISE", str(tmp_path / "environment"))
    assert find_recordings(None, "noise", corpus) == tmp_path / "environment"
    assert find_recordings(tmp_path / "asked", "noise", corpus) == tmp_path / "asked"
    with pytest.raises(UsageError, match="--noise"):
        find_recordings(tmp_path / "nowhere", "noise", corpus)
