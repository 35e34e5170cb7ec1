"""The wheel carries all of the packages, and runs where there is no clone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[1]
PACKAGES = ("search", "spaces", "spkmodel")
GENERATED = shutil.ignore_patterns("__pycache__", ".*")


def pip(*words):
    line = [sys.executable, "-P", "-m", "pip", *map(str, words), "--no-deps", "--quiet"]
    subprocess.run(line, check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built offline, of a copy: a build leaves folders in the tree."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=GENERATED)
    pip("wheel", "--no-build-isolation", "--wheel-dir", out, tree)
    return next(out.glob("spksearch-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-index", "--target", folder, wheel)
    return folder


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel, tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=GENERATED)
    tree = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    carried = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert carried == tree
    assert {f"{package}/py.typed" for package in PACKAGES} < carried


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--help"], "Usage: spksearch"),
        (["describe", "quickstart"], "quickstart"),
        (["notebook"], "73 entries"),
        (["cluster", "check", str(ROOT / "cluster" / "compose.yaml")], "compose.yaml"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_what_is_installed_runs_without_a_clone(installed, tmp_path, words, said):
    environment = {**os.environ, "PYTHONPATH": str(installed), "SPKSEARCH_HOME": str(tmp_path)}
    line = [sys.executable, "-P", "-m", "search", *words]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_what_runs_there_is_what_is_installed(installed, tmp_path):
    code = (
        "import search, spaces, spkmodel; print(*(m.__file__ for m in (search, spaces, spkmodel)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    line = [sys.executable, "-P", "-c", code]
    said = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    files = said.stdout.split()
    assert files == [str(installed / package / "__init__.py") for package in PACKAGES]
