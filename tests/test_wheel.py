"""The wheel carries all of the packages, and runs where there is no clone."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from bench.site.wheel import PACKAGES, build_wheel

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[1]
GENERATED = shutil.ignore_patterns("__pycache__", ".*")


def pip(*words):
    line = [sys.executable, "-P", "-m", "pip", *map(str, words), "--no-deps", "--quiet"]
    subprocess.run(line, check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built offline, as `make wheel` builds it."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


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


@pytest.mark.timeout(900)
def test_the_demo_runs_in_a_clean_environment_with_the_wheel(wheel, tmp_path):
    """The dependencies are those of this environment, by a path: nothing is downloaded."""
    place = tmp_path / "clean"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    line = [python, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", wheel]
    subprocess.run(line, check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    # A plain path: what is installed there as editable, a clone of ours, is not taken along.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"SPKSEARCH_HOME": str(tmp_path / "runs"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [place / "bin" / "spksearch", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "demo finished" in done.stdout
    (card,) = (tmp_path / "runs" / "demo" / "promoted").glob("*/MODEL_CARD.md")
    assert (card.parent / "encoder.safetensors").exists()
    version = subprocess.run(
        [place / "bin" / "spksearch", "--version"], env=environment, capture_output=True, text=True
    )
    assert version.stdout.startswith("spksearch 0.")
    assert "commit" not in version.stdout
