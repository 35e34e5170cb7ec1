"""Files where the user stands change nothing, whatever they are called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.core import import_path
from search.launch import ray_job
from search.launch.settings import LaunchRequest
from search.space.loader import load
from tests.support import tone_corpus, users_folder
from tests.support.programs import worker_path
from tests.support.tiny_space import SPACE

SPKSEARCH = [str(Path(sys.executable).with_name("spksearch"))]
SAFE_MODULE = [sys.executable, "-P", "-m", "search"]
ROOT = str(Path(__file__).parents[3])


@pytest.fixture
def stands(tmp_path):
    """Where the user stands: hostile files, and a space of the user's own."""
    folder = users_folder.plant(tmp_path / "stands")
    (folder / "my_space.py").write_text(SPACE)
    return folder


@pytest.fixture
def environment(tmp_path):
    """Of a user whose packages are installed, or on the path."""
    return {**os.environ, "SPKSEARCH_HOME": str(tmp_path / "home"), "PYTHONPATH": ROOT}


def run(command, stands, environment):
    done = subprocess.run(command, cwd=stands, env=environment, capture_output=True, text=True)
    assert users_folder.imported(stands) == [], done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("command", [SPKSEARCH, SAFE_MODULE], ids=["spksearch", "-P -m search"])
def test_in_the_foreground_our_code_runs_and_a_space_is_given_by_its_path(
    command, stands, environment
):
    code, said = run([*command, "describe", "my_space.py"], stands, environment)
    assert (code, "How fast should a tiny network learn?" in said) == (0, True), said


def test_python_m_search_finds_nothing_of_the_users_once_it_runs(tmp_path, environment):
    # Which `search` Python runs here is not ours to say: the user's own, if there is one.
    names = ("spaces", "spkmodel", *users_folder.OTHERS)
    stands = users_folder.plant(tmp_path / "stands", names)
    line = [sys.executable, "-m", "search", "describe", "quickstart"]
    assert run(line, stands, environment)[0] == 0


def test_a_clone_that_is_not_installed_runs_from_its_root(tmp_path, environment):
    (tmp_path / "clone").mkdir()
    ray_job._stage(tmp_path / "clone", load("quickstart").path)
    where = "import runpy, sys; sys.argv[1:] = ['describe', 'quickstart']; "
    line = [sys.executable, "-c", where + "runpy.run_module('search', run_name='__main__')"]
    del environment["PYTHONPATH"]
    assert run(line, tmp_path / "clone", environment)[0] == 0


def test_a_launch_in_the_background_runs_our_code(stands, environment, tmp_path):
    launch = [*SPKSEARCH, "launch", "my_space.py", "--corpus", "nowhere", "--name", "a"]
    code, said = run([*launch, "--detach"], stands, environment)
    assert (code, "is not a folder" in said) == (2, True), said
    assert (tmp_path / "home" / "a" / "launch.log").is_file()


def test_a_job_runs_the_code_of_its_own_folder(stands, environment, tmp_path, monkeypatch):
    monkeypatch.chdir(stands)
    job = tmp_path / "job"
    job.mkdir()
    own = ray_job._stage(job, stands / "my_space.py")
    assert users_folder.imported(stands) == []
    request = LaunchRequest(space="my_space.py", corpus=tmp_path / "nowhere")
    command = ray_job.entrypoint(request, own)
    # On the cluster's path there may be other packages of these names.
    others = users_folder.plant(tmp_path / "others", users_folder.OURS)
    environment["PYTHONPATH"] = str(others)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    code, said = run(["/bin/sh", "-c", command], job, environment)
    assert (code, "is not a folder" in said) == (2, True), said
    assert users_folder.imported(others) == []


@pytest.mark.ray
def test_a_worker_has_no_folder_of_the_drivers_on_its_path(stands, environment):
    program = stands / "program.py"
    program.write_text(Path(worker_path.__file__).read_text())
    code, said = run([sys.executable, "-P", str(program)], stands, environment)
    assert code == 0, said
    search, config, *path = said.splitlines()
    assert (search, config) == (f"{ROOT}/search/__init__.py", f"{ROOT}/spkmodel/config/__init__.py")
    assert str(stands) not in path


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_whole_search_in_the_background_imports_nothing_of_the_users(
    stands, environment, tmp_path
):
    corpus = tone_corpus.write_corpus(tmp_path / "buzz")
    launch = [*SPKSEARCH, "launch", "my_space.py", "--corpus", str(corpus), "--name", "a"]
    for ours in ("RAY_AUTH_MODE", "MLFLOW_TRACKING_URI"):
        environment.pop(ours, None)
    line = [*launch, "--trials", "1", "--max-epochs", "1", "--detach"]
    assert run(line, stands, environment)[0] == 0
    code, said = run([*SPKSEARCH, "wait", "a", "--timeout", "200"], stands, environment)
    assert (code, "1 of 1 trials" in said) == (0, True), said


def test_what_is_installed_is_not_put_on_the_path_twice(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(import_path, "CODE", Path("/clone"))
    assert import_path.child_environment({"PYTHONPATH": "/x"}) == {
        "PYTHONPATH": "/clone:/x",
        "PYTHONSAFEPATH": "1",
    }
    monkeypatch.setattr(import_path.site, "getsitepackages", lambda: ["/clone"])
    assert import_path.child_environment({}) == {"PYTHONSAFEPATH": "1"}
