"""How long work shows itself, with and without a terminal."""

import io
import time

import pytest
from rich.console import Console

from search.core.progress import Silent
from search.ledger.state import SearchState
from search.reporting.snapshot import Snapshot, take_snapshot
from search.reporting.terminal import Lines, Terminal, _Latest, stderr_display
from tests.support import three_trials as example

SHORT = 0.01


class Source:
    """A search that grows by one event a look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> Snapshot:
        count = min(4 + self.looks, len(example.events()))
        self.looks += 1
        state = SearchState.from_events(example.events()[:count])
        return take_snapshot(state, "ok", "http://127.0.0.1:5000/#/x", now=example.START + 120)


def wait_for(source: Source, looks: int) -> None:
    end = time.monotonic() + 5
    while source.looks < looks and time.monotonic() < end:
        time.sleep(SHORT)


def test_without_a_terminal_each_event_is_told_once(capsys):
    source = Source()
    with Lines(every_seconds=60, poll_seconds=SHORT).watch(source):
        wait_for(source, 16)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert [line.split(":")[0] for line in lines if "new best" in line] == [
        "new best t0001",
        "new best t0002",
        "new best t0002",
    ]
    assert sum("failed" in line and line.startswith("trial") for line in lines) == 1
    assert "browse: http://127.0.0.1:5000/#/x" in lines
    assert len(lines) == 2 + 4  # where things stood at first, and the news


def test_without_a_terminal_where_things_stand_is_told_now_and_then(capsys):
    source = Source()
    source.looks = 100  # nothing changes any more
    with Lines(every_seconds=SHORT, poll_seconds=SHORT).watch(source):
        wait_for(source, 110)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 4
    assert all(line.startswith(("night running", "browse: ")) for line in lines)


def test_what_happened_last_is_told_although_the_search_has_ended(capsys):
    source = Source()
    with Lines(every_seconds=60, poll_seconds=60).watch(source):
        source.looks = 100
    assert "new best t0002" in capsys.readouterr().err


def test_no_line_has_an_escape_sequence_where_there_is_no_terminal(capsys):
    display = stderr_display()
    assert isinstance(display, Lines)
    display.print_line("a [bold]word[/bold]")
    with display.task("packing", "utterances") as progress:
        progress(1, 2)
        progress(2, 2)
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert err.splitlines()[0] == "a [bold]word[/bold]"


def test_a_task_tells_its_count_rate_and_time_left(capsys):
    with Lines(every_seconds=SHORT).task("packing", "utterances") as progress:
        progress(0, 12)
        time.sleep(2 * SHORT)
        progress(3, 12)
        progress(12, 12)
    now_and_then, end = capsys.readouterr().err.splitlines()
    assert now_and_then.startswith("packing: 3 of 12 utterances, ")
    assert now_and_then.endswith(" left")
    assert end.startswith("packing: 12 utterances in ")


def test_on_a_terminal_the_table_and_the_bars_are_drawn():
    screen = io.StringIO()
    display = Terminal(Console(file=screen, force_terminal=True, width=120))
    with display.watch(Source()):
        pass
    with display.task("packing", "utterances") as progress:
        progress(3, 12)
    drawn = screen.getvalue()
    for part in ("rungs", "http://127.0.0.1:5000/#/x", "packing", "3/12"):
        assert part in drawn


def test_a_search_that_changes_while_it_is_looked_at_is_shown_as_it_was(capsys):
    seen: list[int] = []

    def source() -> Snapshot:
        seen.append(1)
        if len(seen) > 1:
            raise RuntimeError("dictionary changed size during iteration")
        return Source()()

    with Lines(every_seconds=60, poll_seconds=SHORT).watch(source):
        time.sleep(5 * SHORT)
    assert len(seen) > 2
    assert len(capsys.readouterr().err.splitlines()) == 2  # where things stood, and the address


def test_silence_is_silent(capsys):
    display = Silent()
    display.print_line("x")
    with display.task("packing", "utterances") as progress, display.watch(Source()):
        progress(1, 1)
    assert capsys.readouterr() == ("", "")


def test_a_snapshot_that_takes_long_is_taken_less_often_and_the_last_is_of_its_moment(monkeypatch):
    clock, taken = [0.0], []
    monkeypatch.setattr("search.reporting.terminal.time.monotonic", lambda: clock[0])

    def source():
        clock[0] += 0.5
        taken.append(clock[0])
        return len(taken)

    latest = _Latest(source)
    for _ in range(100):
        latest()
        clock[0] += 1
    assert len(taken) - 1 == pytest.approx(100 * 1 / 10, abs=1), "half a second in every ten"
    before = len(taken)
    latest.expire()
    assert latest() == before + 1


def test_the_pace_of_a_task_does_not_count_what_was_done_before_it_began(capsys):
    with Lines(every_seconds=SHORT).task("packing", "utterances") as progress:
        progress(900_000, 1_000_000)
        time.sleep(2 * SHORT)
        progress(900_001, 1_000_000)
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith("packing: 900001 of 1000000 utterances, ")
    assert float(line.split(", ")[1].removesuffix("/s")) < 100
