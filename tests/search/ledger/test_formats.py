"""Ledgers of other versions: older ones are read and gone on with, newer ones are refused."""

import json
import shutil
from pathlib import Path

import pytest

from search.cli.app import run
from search.core.errors import EnvironmentSetupError
from search.launch.launch import settings_of
from search.ledger.ledger import Ledger
from search.ledger.state import FORMAT
from tests.support.controller_rig import ControllerRig

FIRST = Path(__file__).parent / "ledgers" / "format-1.jsonl"
"""As the first versions wrote it: a crash, a divergence, a night between two drivers."""


@pytest.fixture
def old(spksearch_home):
    folder = spksearch_home / "old"
    folder.mkdir()
    shutil.copy(FIRST, folder / "ledger.jsonl")
    for event in Ledger.open(folder / "ledger.jsonl").events():
        if event["event"] == "report":
            place = folder / event["checkpoint"]
            place.mkdir(parents=True, exist_ok=True)
            for name in ("tensors.safetensors", "state.json"):
                (place / name).write_bytes(b"{}")
    return folder


def test_a_ledger_of_the_first_versions_is_read_whole(old):
    state = Ledger.open(old / "ledger.jsonl").state()
    assert [trial.state for trial in state.trials.values()] == [
        "paused",
        "failed",
        "failed",
        "paused",
    ]
    assert [trial.failure for trial in state.trials.values()] == ["", "diverged", "crash", ""]
    assert state.trials["t0004"].cuts == {"driver": 1, "stopped": 1}
    assert state.spent_hours() * 60 == pytest.approx(16 + 3), "the night does not count"
    assert settings_of("old").trials == 6
    assert settings_of("old").max_failed is None


def test_a_search_of_the_first_versions_goes_on(old):
    rig = ControllerRig(old, trials=6)
    trial, config = rig.driver.next_segment()
    assert (trial.trial, config) == ("t0004", {"attempt": 3, "to_rung": 1})
    rig.clock += 60
    rig.say("t0004", attempt=3, dev_eer=0.2)
    fresh, _ = rig.driver.next_segment()
    assert fresh.trial == "t0005"
    rig.ledger.close()
    events = list(Ledger.open(old / "ledger.jsonl").events())
    assert [event.get("format") for event in events if event["event"] == "driver"] == [
        None,
        None,
        FORMAT,
    ]
    assert Ledger.open(old / "ledger.jsonl").state() == rig.state


@pytest.mark.parametrize("event", ["search", "driver"])
def test_a_ledger_of_a_later_version_is_refused_with_both_numbers(old, event, capsys):
    lines = (old / "ledger.jsonl").read_text().splitlines()
    later = {"event": event, "time": "2026-11-25T10:00:00+00:00", "search": "old"}
    lines.append(json.dumps(later | {"format": FORMAT + 1, "rungs": "unheard of"}))
    (old / "ledger.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(EnvironmentSetupError, match=rf"format {FORMAT + 1}.*up to {FORMAT}"):
        Ledger.open(old / "ledger.jsonl").state()
    assert run(["status", "old"]) == 3
    assert "later version" in capsys.readouterr().err
