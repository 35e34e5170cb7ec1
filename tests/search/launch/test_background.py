"""The whole of it: a real search in the background, steered from elsewhere to its end."""

import os
import subprocess
import sys
import time

import pytest

from search.ledger.ledger import Ledger
from tests.support import tone_corpus
from tests.support.tiny_space import SPACE

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(500)]


@pytest.fixture
def spksearch(tmp_path):
    """Run a verb as from another terminal; its exit code, and all that it says."""
    ours = ("RAY_AUTH_MODE", "MLFLOW_TRACKING_URI")
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    environment["SPKSEARCH_HOME"] = str(tmp_path / "home")

    def run(*words):
        line = [sys.executable, "-m", "search", *map(str, words)]
        done = subprocess.run(line, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


def _wait_for_first_epoch(ledger):
    """Wait until the search trains: how long its start takes depends on the machine."""
    deadline = time.monotonic() + 120
    while not (ledger.is_file() and any(t.reports for t in Ledger.open(ledger).trials().values())):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _assert_recorded(folder):
    events = list(Ledger.open(folder / "ledger.jsonl").events())
    steered = [event.event for event in events if "@" in str(getattr(event, "by", None))]
    assert [each for each in steered if each != "stop"] == ["hold", "queued", "search", "release"]
    state = Ledger.open(folder / "ledger.jsonl").state()
    added = [trial for trial in state.trials.values() if trial.origin.startswith("added: ")]
    assert [trial.axes["learning_rate"] for trial in added] == [0.005]
    assert added[0].distributions.keys() == {"channels", "learning_rate"}
    assert added[0].reports
    assert not (folder / "driver.json").exists()


def test_a_search_in_the_background_is_steered_from_elsewhere(spksearch, tmp_path):
    (tmp_path / "tiny.py").write_text(SPACE)
    corpus = tone_corpus.write_corpus(tmp_path / "buzz")
    launch = ["launch", tmp_path / "tiny.py", "--corpus", corpus, "--trials", 500]
    assert spksearch(*launch, "--detach")[0] == 0
    assert spksearch(*launch, "--detach")[0] == 3
    code, said = spksearch("wait", "tiny", "--timeout", 3)
    assert (code, "has not ended after 3 s" in said) == (7, True), said
    _wait_for_first_epoch(tmp_path / "home" / "tiny" / "ledger.jsonl")

    assert spksearch("pause", "tiny")[0] == 0
    code, said = spksearch("pause", "tiny")
    assert (code, "paused by" in said) == (2, True)
    assert "on hold: paused by" in spksearch("status", "tiny")[1]
    wanted = ["add", "tiny", "--trial", "t0001", "--set", "optimiser.learning_rate=0.005"]
    assert spksearch(*wanted) == (
        0,
        "t0001 with optimiser.learning_rate=0.005 is tried next in search tiny\n",
    )
    code, said = spksearch("add", "tiny", "--trial", "t0001", "--set", "batches.speakers=500")
    assert (code, "does not fit the search's corpus: batches.speakers=500" in said) == (2, True)
    assert spksearch("stop", "tiny", "t0001")[0] in (0, 2)  # it may be complete by now
    assert spksearch("budget", "tiny", "--trials", 3, "--max-epochs", 3)[0] == 0
    assert spksearch("resume", "tiny")[0] == 0
    code, said = spksearch("wait", "tiny", "--timeout", 200)
    assert (code, "tiny finished" in said) == (0, True), said
    assert "tiny finished: all trials tried" in spksearch("logs", "tiny", "--follow")[1]

    _assert_recorded(tmp_path / "home" / "tiny")
