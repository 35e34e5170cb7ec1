"""A home folder with a search in it, and stand-ins for what verbs call."""

import pytest

from tests.support import three_trials as example


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("SPKSEARCH_HOME", str(folder))
    return folder


@pytest.fixture
def night(home):
    """The example search, on disk."""
    return example.write(home)


@pytest.fixture
def handed_on(monkeypatch):
    """Stands in for what a verb calls, and keeps what it was called with."""
    calls = []

    def replace(where: str, result: object) -> list:
        def called(*arguments, **options):
            calls.append((arguments, options))
            return result

        monkeypatch.setattr(where, called)
        return calls

    return replace
