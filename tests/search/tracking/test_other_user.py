"""Another user of the machine tries twelve ways in while a search's servers run; none succeeds."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from search.core import import_path
from search.core.paths import make_home, private_temporary_folder
from search.tracking.server_access import provide_credential, read_credential
from tests.support.ledger_on_disk import LedgerOnDisk

PROGRAMS = Path(__file__).parents[2] / "support/programs"
WEIGHTS = b"weights of the owner"
ARTIFACT = "1/models/m-1/artifacts/encoder.py"
CHECKPOINT = "night/trials/t0001/epoch0001/tensors.safetensors"
OTHER_USER = 65534
ATTEMPTS = (
    "overwrite an artifact",
    "read an artifact",
    "set the tag stop",
    "register a model",
    "read the ledger",
    "read a checkpoint",
    "read the tokens",
    "read the database",
    "run a Ray job",
    "open the dashboard",
    "write into the mailbox and the session folder",
    "plant a temporary file",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user"),
]


def attempts_of(user: int, facts: dict[str, object]) -> tuple[dict[str, str], str]:
    """Return what came of each attempt of a user, and how those that failed were refused."""
    program = (PROGRAMS / "other_user.py").read_text()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(user), json.dumps(facts)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found, done.stderr


@contextmanager
def head(home: Path):
    """A local Ray head of the home, in a process of its own; yields where it is."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    program = subprocess.Popen(
        [sys.executable, "-P", str(PROGRAMS / "private_head.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=import_path.child_environment(kept) | {"SPKSEARCH_HOME": str(home)},
    )
    with program:
        yield json.loads(program.stdout.readline())
        program.stdin.close()


@pytest.fixture(scope="module")
def facts(mlflow_server):
    """A home below a folder that all can enter, and what others can learn or guess of it."""
    umask = os.umask(0o022)  # as on most machines
    above = Path(tempfile.mkdtemp(prefix="spksearch-test-"))
    above.chmod(0o755)
    home = above / "home"
    try:
        make_home(home)
        search = LedgerOnDisk(home, "night")
        search.begin()
        for path in (home / CHECKPOINT, mlflow_server.folder / "mlartifacts" / ARTIFACT):
            path.parent.mkdir(parents=True)
            path.write_bytes(WEIGHTS)
        (home / "mlflow.db").write_bytes(b"SQLite")
        provide_credential(home)
        client = MlflowClient(mlflow_server.uri)
        with head(home) as ray:
            yield {
                "home": str(home),
                "search": "night",
                "checkpoint": CHECKPOINT,
                "artifact": ARTIFACT,
                "mlflow_port": mlflow_server.port,
                "run_id": client.create_run("0").info.run_id,
                "temporary": str(private_temporary_folder()),
                **ray,
            }
    finally:
        os.umask(umask)
        shutil.rmtree(above)


def test_none_of_twelve_attempts_of_another_user_succeeds(facts, mlflow_server):
    found, refused = attempts_of(OTHER_USER, facts)
    assert tuple(found) == ATTEMPTS
    assert {name: got for name, got in found.items() if got} == {}
    # They failed at what keeps others out, and not at a mistake of the program.
    assert refused.count("HTTP Error 401") == 4
    assert refused.count("Permission denied") == 7
    stored = mlflow_server.folder / "mlartifacts" / ARTIFACT
    assert stored.read_bytes() == WEIGHTS
    client = MlflowClient(mlflow_server.uri)
    assert "stop" not in client.get_run(facts["run_id"]).data.tags
    assert "stranger" not in [model.name for model in client.search_registered_models()]
    assert not (Path(facts["home"]) / "night" / "control").exists()


def test_the_same_attempts_succeed_with_the_owners_rights_and_credential(facts, mlflow_server):
    shown = f"Bearer {read_credential(mlflow_server.folder)}"
    found, _ = attempts_of(0, {**facts, "authorization": shown})
    MlflowClient(mlflow_server.uri).delete_registered_model("stranger")
    # The last two have nothing to reach: a head of ours has no dashboard, and takes no jobs.
    nothing = {"run a Ray job", "open the dashboard"}
    assert {name for name, got in found.items() if not got} == nothing
