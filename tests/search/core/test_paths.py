"""The home folder and our folder in the temporary one are their owner's alone."""

import os
import stat

import pytest

from search.core.errors import UsageError
from search.core.paths import (
    LEDGER,
    describe_openness,
    make_home,
    private_temporary_folder,
    search_folder,
)


def mode(folder):
    return stat.S_IMODE(folder.stat().st_mode)


@pytest.fixture(autouse=True)
def usual_umask():
    """As on most machines: what is made can be read by all."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_home_is_made_for_its_owner_alone_and_this_is_said_once(tmp_path, monkeypatch):
    home = tmp_path / "of a lab" / "home"
    monkeypatch.setenv("SPKSEARCH_HOME", str(home))
    said = []
    make_home(say=said.append)
    make_home(say=said.append)
    assert mode(home) == 0o700
    assert mode(home.parent) == 0o755
    assert said == [
        f"made {home} for you alone; to let your group read it: chmod 750 '{home}'",
    ]


def test_a_home_that_is_there_keeps_its_mode_and_is_described(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o750)
    make_home(home)
    assert describe_openness(home) == f"its group can open {home} (mode 0750)"
    home.chmod(0o755)
    assert "its group and every user can open" in describe_openness(home)
    home.chmod(0o700)
    assert describe_openness(home) == ""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """An empty temporary folder, and ours in it, which is not made yet."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"spksearch-{os.getuid()}"


def test_our_temporary_folder_is_ours_alone(temporary):
    assert private_temporary_folder() == temporary
    assert mode(temporary) == 0o700
    temporary.chmod(0o755)
    assert private_temporary_folder() == temporary
    assert mode(temporary) == 0o700


def test_a_name_that_another_user_took_first_is_left_to_him(temporary, tmp_path):
    (tmp_path / "trap").mkdir()
    temporary.symlink_to(tmp_path / "trap")
    found = private_temporary_folder()
    assert found not in (temporary, tmp_path / "trap")
    assert mode(found) == 0o700
    assert list((tmp_path / "trap").iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "corpora",
        "Corpora",
        "corpus",
        "evaluations",
        "mlartifacts",
        "ray-token",
        "mlflow.db",
        "mlflow-credential",
        "mlflow-page.html",
        "mlflow-server.json",
        "MLflow.db-wal",
    ],
)
def test_a_search_cannot_be_called_as_what_the_home_keeps(name, spksearch_home):
    with pytest.raises(UsageError, match="choose another with --name"):
        search_folder(name)
    (spksearch_home / name).mkdir()
    (spksearch_home / name / LEDGER).touch()
    assert search_folder(name) == spksearch_home / name


def test_a_search_may_begin_as_what_the_home_keeps(spksearch_home):
    assert search_folder("mlflow_down-1") == spksearch_home / "mlflow_down-1"
