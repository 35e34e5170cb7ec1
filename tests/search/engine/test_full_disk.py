"""A real file system without a free byte, in a mount namespace of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from search.ledger.formats import from_json
from search.ledger.state import SearchState
from search.scheduler.audit import find_wrong_decisions, recompute_rungs
from search.scheduler.rung_queries import rung_results
from tests.support.programs import full_disk

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]


def _may_mount():
    """Whether we may have a mount namespace of our own: it takes root, and not every one may."""
    command = ["unshare", "--mount", "true"]
    return shutil.which("unshare") and subprocess.run(command, check=False).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="mounting a file system takes root")
def test_a_full_disk_stops_no_search_and_costs_no_trial_a_retry(tmp_path):
    script = f'mount -t tmpfs -o size=2m none "{tmp_path}" && exec "$0" "$@"'
    program = [sys.executable, full_disk.__file__, str(tmp_path)]
    answer = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script, *program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    events = [from_json(record) for record in json.loads(answer.stdout)]
    state = SearchState.from_events(events)
    assert state.finish.reason == "all trials tried"
    assert len(state.trials) == 6
    assert all(trial.crashes == 0 for trial in state.trials.values())
    assert {trial.state for trial in state.trials.values()} == {"complete", "stopped"}
    epochs = Counter((e.trial, e.epoch) for e in events if e.event == "report")
    assert set(epochs.values()) == {1}
    assert find_wrong_decisions(events) == []
    assert recompute_rungs(events) == {rung: rung_results(state, rung) for rung in state.rungs}
    held = [event.event for event in events if getattr(event, "cause", None) == "disk"]
    assert held == ["hold", "release"] * (len(held) // 2)
    assert held
