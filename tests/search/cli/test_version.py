"""The version, and the commit of a clone."""

import subprocess
import sys

import pytest

from search.cli.version import describe_version, read_commit


def git(folder, *words):
    line = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("1\n", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_clone_tells_its_commit(clone):
    head = git(clone, "rev-parse", "--short=8", "HEAD")
    assert read_commit(clone) == f"commit {head}"
    assert describe_version(clone).endswith(f" (commit {head})")


def test_a_changed_file_makes_it_dirty_and_a_new_one_does_not(clone):
    (clone / "runs").mkdir()
    (clone / "runs" / "ledger.jsonl").write_text("", encoding="utf-8")
    assert "dirty" not in read_commit(clone)
    (clone / "code.py").write_text("2\n", encoding="utf-8")
    assert read_commit(clone).endswith(", dirty")


def test_packages_installed_inside_somebodys_clone_tell_no_commit(clone):
    installed = clone / "site-packages"
    installed.mkdir()
    assert read_commit(installed) == ""
    assert "commit" not in describe_version(installed)


def test_without_git_the_number_is_told_alone(clone, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert read_commit(clone) == ""


def test_the_version_loads_neither_torch_nor_ray():
    code = (
        "import sys; from pathlib import Path; from search.cli.version import describe_version; "
        "describe_version(Path('.')); import search.cli.app; "
        "sys.exit(bool({'torch', 'ray', 'mlflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
