"""Ray's own processes die under a search that somebody has launched; it goes on by itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from bench.chaos.processes import command, descendants
from search.ledger.ledger import Ledger
from search.scheduler.audit import find_wrong_decisions
from tests.support import tone_corpus
from tests.support.tiny_space import SPACE

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def environment(tmp_path):
    ours = ("RAY_AUTH_MODE", "MLFLOW_TRACKING_URI")
    kept = {key: value for key, value in os.environ.items() if key not in ours}
    # No MLflow answers there: none is needed here, and its server takes long to start.
    return kept | {
        "SPKSEARCH_HOME": str(tmp_path / "home"),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    }


@pytest.fixture
def launched(environment, tmp_path):
    """A launch, and its ledger."""
    (tmp_path / "tiny.py").write_text(SPACE)
    corpus = tone_corpus.write_corpus(tmp_path / "buzz")
    words = ["launch", tmp_path / "tiny.py", "--corpus", corpus, "--trials", 6, "--max-epochs", 3]
    line = [sys.executable, "-P", "-m", "search", *map(str, words)]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(line, env=environment, stdout=said, stderr=said)
    yield process, Ledger.open(tmp_path / "home" / "tiny" / "ledger.jsonl")
    process.kill()
    process.wait()


def _wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the launch ended with {process.returncode}"
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


def _count(ledger, kind):
    return sum(event.event == kind for event in ledger.events())


def test_a_raylet_that_is_killed_is_replaced_and_nothing_is_lost_or_doubled(
    launched, environment, tmp_path
):
    process, ledger = launched
    _wait_for(lambda: _count(ledger, "report") >= 2, process)
    raylet = next(pid for pid in descendants(process.pid) if "raylet/raylet" in command(pid))
    os.kill(raylet, signal.SIGKILL)
    _wait_for(lambda: _count(ledger, "cluster_lost"), process, 20)
    line = [sys.executable, "-m", "search", "status", "tiny", "--json"]
    status = json.loads(subprocess.run(line, env=environment, capture_output=True).stdout)
    if _count(ledger, "driver") == 1:  # it is still on its way
        assert status["state"] == "starting"
        assert f"raylet on this machine (process {raylet})" in status["reason"]
    code = process.wait(200)
    said = (tmp_path / "said").read_text()
    assert code == 0, said
    assert "Ray is started again, and the search goes on" in said

    events, state = list(ledger.events()), ledger.state()
    assert len(state.trials) == 6
    assert state.finish is not None
    epochs = Counter((event.trial, event.epoch) for event in events if event.event == "report")
    assert set(epochs.values()) == {1}
    assert (state.refused, state.repeated) == (0, 0)
    assert all(trial.crashes == 0 for trial in state.trials.values())
    drivers = [(event.pid, event.restart) for event in events if event.event == "driver"]
    assert drivers == [(process.pid, 0), (process.pid, 1)]
    assert find_wrong_decisions(events) == []
