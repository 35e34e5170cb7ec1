"""The Pareto front of a search: as a table, as JSON, as a picture."""

import json
import struct

import pytest

from search.cli.app import run
from search.launch.summary import summary
from search.ledger.state import SearchState
from search.reporting.snapshot import take_snapshot
from search.reporting.trial_tables import find_front, sort_trials

RESULTS = [(0.10, 9e6), (0.14, 1.2e5), (0.12, 1e6), (0.15, 4e5), (0.30, 2e4), (0.31, 3e4)]
"""dev EER and weights; the fourth and the last are beaten in both."""


@pytest.fixture
def search(tmp_path, monkeypatch, ledger_on_disk):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path))
    search = ledger_on_disk("both")
    search.begin(objectives=["dev_eer", "encoder_parameters"])
    for number, (eer, size) in enumerate(RESULTS, start=1):
        trial = search.trial(number, channels=number, encoder_parameters=int(size))
        search.segment(trial, 1)
        search.report(trial, 1, eer)
    search.trial(7, channels=7)
    search.finish()
    return search


def _state(search):
    return SearchState.from_events(search.events)


def test_the_front_is_what_no_trial_beats_in_both_smallest_first(search):
    front, others = find_front(_state(search))
    assert [trial.trial for trial in front] == ["t0005", "t0002", "t0003", "t0001"]
    assert [trial.trial for trial in others] == ["t0004", "t0006"]


@pytest.mark.usefixtures("search")
def test_trials_pareto_prints_sizes_and_rates(capsys):
    assert run(["trials", "both", "--pareto"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["trial", "weights", "dev"]
    assert [line.split()[:4] for line in lines[1:]] == [
        ["t0005", "20,000", "30.00", "%"],
        ["t0002", "120,000", "14.00", "%"],
        ["t0003", "1,000,000", "12.00", "%"],
        ["t0001", "9,000,000", "10.00", "%"],
    ]


@pytest.mark.usefixtures("search")
def test_trials_pareto_as_json_has_the_same_trials(capsys):
    assert run(["trials", "both", "--pareto", "--json"]) == 0
    front = json.loads(capsys.readouterr().out)
    assert front["schema"] == "spksearch.front/1"
    assert [trial["encoder_parameters"] for trial in front["trials"]] == [
        20_000, 120_000, 1_000_000, 9_000_000
    ]  # fmt: skip
    assert front["others"] == 2


@pytest.mark.usefixtures("search")
def test_a_picture_of_the_front_is_1000_dots_wide(capsys, tmp_path):
    picture = tmp_path / "front.png"
    assert run(["trials", "both", "--pareto", "--plot", str(picture)]) == 0
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", head[16:20]) == (1000,)
    assert f"wrote {picture}" in capsys.readouterr().err


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--plot", "front.png"], "give --pareto too"),
        (["--pareto", "--sort", "rung"], "leave out --sort"),
        (["--pareto", "--plot", "front.pdf"], "name a file .png, got front.pdf"),
    ],
)
def test_flags_that_make_no_sense_together_are_refused(capsys, flags, words):
    assert run(["trials", "both", *flags]) == 2
    assert words in capsys.readouterr().err


def test_a_summary_of_two_objectives_ends_with_the_front_and_of_one_does_not(search):
    state = _state(search)
    assert any("Pareto front" in str(line) for line in summary(state, take_snapshot(state)))
    state.settings = state.search.model_copy(update={"objectives": ("dev_eer",)})
    assert not any("Pareto front" in str(line) for line in summary(state, take_snapshot(state)))


def test_trials_can_be_sorted_by_size_and_unknown_sizes_come_last(search):
    order = [trial.trial for trial in sort_trials(_state(search), "encoder_parameters")]
    assert order == ["t0005", "t0006", "t0002", "t0004", "t0003", "t0001", "t0007"]


def test_a_search_without_sizes_says_so(ledger_on_disk, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path))
    old = ledger_on_disk("old")
    old.begin()
    trial = old.trial(1, channels=8)
    old.segment(trial, 1)
    old.report(trial, 1, 0.2)
    assert run(["trials", "old", "--pareto"]) == 0
    assert "no trial with a dev EER and a known size" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["encoder_parameters", "dev_eer,size", "", "dev_eer,dev_eer"])
def test_objectives_are_one_or_both_of_two(capsys, text):
    assert run(["launch", "quickstart", "--corpus", ".", "--objectives", text]) == 2
    assert "--objectives takes dev_eer, or dev_eer,encoder_parameters" in capsys.readouterr().err
