"""Ledgers of this and of other versions: each line is read; newer versions are refused."""

import json
import shutil
from pathlib import Path
from typing import get_args

import pytest

from search.cli.app import run
from search.core.errors import EnvironmentSetupError
from search.launch.settings import read_settings
from search.ledger.events import FORMAT, KnownEvent, LedgerDamaged, UnknownEvent
from search.ledger.formats import parse
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from tests.support.controller_rig import ControllerRig
from tests.support.events import record_of

FIRST = Path(__file__).parent / "ledgers" / "format-1.jsonl"
"""As the first versions wrote it: a crash, a divergence, a night between two drivers."""


@pytest.fixture
def old(spksearch_home):
    folder = spksearch_home / "old"
    folder.mkdir()
    shutil.copy(FIRST, folder / "ledger.jsonl")
    for event in Ledger.open(folder / "ledger.jsonl").events():
        if event.event == "report":
            place = folder / event.checkpoint
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
    assert state.trials["t0004"].interruptions == {"driver": 1, "stopped": 1}
    assert state.spent_hours() * 60 == pytest.approx(16 + 3), "the night does not count"
    assert read_settings("old").trials == 6
    assert read_settings("old").max_failed is None


def test_a_search_of_the_first_versions_goes_on(old):
    rig = ControllerRig(old, trials=6)
    trial, config = rig.driver.next_segment()
    assert (trial.trial, config) == ("t0004", {"attempt": 3, "to_rung": 1})
    rig.clock += 60
    rig.report_epoch("t0004", attempt=3, dev_eer=0.2)
    fresh, _ = rig.driver.next_segment()
    assert fresh.trial == "t0005"
    rig.ledger.close()
    events = list(Ledger.open(old / "ledger.jsonl").events())
    assert [event.format for event in events if event.event == "driver"] == [1, 1, FORMAT]
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


GOLDEN = sorted(FIRST.parent.glob("format-2*.jsonl"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_event_is_written_again_as_it_was_read(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    again = [parse(line.encode()).to_line() for line in lines]
    assert [json.loads(line) for line in again] == [json.loads(line) for line in lines]
    assert again == lines, "to the byte"


def test_the_golden_ledgers_hold_every_kind_of_event():
    there = {type(parse(line)) for path in GOLDEN for line in path.read_bytes().splitlines()}
    assert there == set(get_args(KnownEvent))


def test_what_the_first_versions_did_not_write_is_filled_in():
    events = [parse(line) for line in FIRST.read_bytes().splitlines()]
    assert not [event for event in events if isinstance(event, UnknownEvent)]
    settings = next(event for event in events if event.event == "search")
    assert (settings.format, settings.objectives, settings.disk_gb) == (1, ("dev_eer",), None)
    report = next(event for event in events if event.event == "report")
    assert (report.bytes, report.gpu_share) == (None, 0.0)
    kinds = [event.kind for event in events if event.event == "crash"]
    assert kinds == ["crash", "crash", "crash", "driver", "stopped"]


def test_a_key_that_a_later_version_adds_is_kept_and_written_again():
    line = record_of("release", time="t", search="s", cause="disk", by="me") | {"since": [1, 2]}
    event = parse(json.dumps(line).encode())
    assert (event.event, event.cause, event.since) == ("release", "disk", [1, 2])
    assert json.loads(event.to_line()) == line


def test_an_event_that_lacks_what_its_kind_must_say_is_read_and_no_state_takes_it():
    line = b'{"event": "report", "time": "t", "search": "s", "trial": "t0001", "epoch": 1}'
    event = parse(line)
    assert event.trial_name == "t0001"
    with pytest.raises(LedgerDamaged, match=r"its event 1 is no report event .*attempt"):
        SearchState.from_events([event])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_lacks_is_no_event(number):
    line = json.dumps(record_of("exhausted", time="t", search="s", trials=1, x=[1]))
    line = line.replace("[1]", f"[{number}]")
    with pytest.raises(ValueError, match="is not JSON"):
        parse(line.encode())
    assert parse(line.replace(f"[{number}]", f'"{number}"').encode()).x == number
