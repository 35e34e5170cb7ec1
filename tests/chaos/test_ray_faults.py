"""What a round expects after a death of Ray's own processes, and how it finds them."""

from types import SimpleNamespace

import pytest

from bench.chaos.faults import ray_faults
from bench.chaos.faults.catalogue import FAULTS
from tests.support.events import event_of

RAY = "/env/lib/python3.11/site-packages/ray/core/src/ray"
LINES = {
    f"{RAY}/gcs/gcs_server --log_dir=/tmp/ray/session_1/logs": "gcs_server",
    f"{RAY}/raylet/raylet --raylet_socket_name=/tmp/ray/session_1/sockets/raylet": "raylet",
    "ray::RuntimeEnvAgent": "runtime_env_agent",
    "ray::DashboardAgent": "dashboard_agent",
    "ray::ResourceTrainable.train": "workers",
    "ray::IDLE": "workers",
    "/env/bin/python -u /env/ray/autoscaler/_private/monitor.py --gcs-address=127.0.0.1:1": "",
    "/env/bin/python /env/ray/dashboard/dashboard.py --host=127.0.0.1": "",
    "/env/bin/python -P -m search launch quickstart": "",
}


@pytest.mark.parametrize(("line", "kind"), LINES.items())
def test_each_of_rays_processes_is_told_by_its_command_line(line, kind):
    assert [each for each, is_one in ray_faults._SIGNS.items() if is_one(line)] == (
        [kind] if kind else []
    )


def _after(name, crashes=0, launches=1, **notes):
    events = [event_of("search", time="t"), event_of("trial", trial="t0001", time="t")]
    for attempt in range(1, crashes + 1):
        events += [
            event_of("segment", trial="t0001", attempt=attempt, to_rung=1),
            event_of("crash", trial="t0001", attempt=attempt),
        ]
    experiment = SimpleNamespace(events=lambda: events, launches=launches, notes=notes)
    return ray_faults.unmet_expectations(experiment, FAULTS[name])


def test_a_search_must_go_on_by_itself_and_no_trial_pays_for_rays_death():
    assert _after("raylet_kill") == []
    assert _after("gcs_kill", launches=2) == ["the search did not go on by itself"]
    assert _after("dashboard_agent_kill", crashes=1) == [
        "1 crashes are counted, and no trial has crashed"
    ]
    assert _after("two_at_once", crashes=1, blows=["raylet", "gcs_server"]) != []


def test_a_worker_that_was_killed_has_crashed():
    assert _after("all_workers_kill", crashes=2) == []
    assert _after("two_at_once", crashes=2, blows=["workers", "raylet"]) == []
    assert _after("driver_kill", crashes=2, launches=2) == []
