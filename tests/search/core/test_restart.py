"""A process that replaces itself stays the same process, and forgets what it had become."""

import json
import os
import subprocess
import sys

from search.cli import app
from search.core import restart
from search.core.restart import Handoff
from tests.support.programs import runs_itself_again


def test_a_process_blocked_in_its_main_thread_is_replaced_and_keeps_its_pid_and_arguments():
    done = subprocess.run(
        [sys.executable, "-P", runs_itself_again.__file__, "launch", "a b"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["number"], second["number"]) == (0, 1)
    assert first["pid"] == second["pid"]
    assert second["arguments"] == first["arguments"] == ["launch", "a b"]
    # What the first has set, opened and started is of no concern to the second.
    assert second["changed"] == second["handed_on"] == ""
    assert not second["file_is_open"]
    assert second["children"] == [1, 0]


def test_what_is_handed_on_survives_the_way_through_the_environment():
    handoff = Handoff(2, "Ray's head is gone:\n  spksearch launch ä", 15, (7, 8))
    assert Handoff.from_json(handoff.to_json()) == handoff


def test_a_process_replaced_only_to_say_why_it_ends_carries_nothing_out(monkeypatch, capsys):
    for handoff, code in ((Handoff(0, "the head is gone"), 3), (Handoff(0, "gone", 15), 143)):
        monkeypatch.setattr(restart._program, "handoff", handoff)
        assert app.run(["list"]) == code
        assert capsys.readouterr().err == f"spksearch: {handoff.message}\n"


def test_a_process_that_nobody_has_started_as_a_program_is_not_replaced():
    assert not restart.is_allowed()
