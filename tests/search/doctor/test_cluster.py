"""What the doctor says of a cluster, machine by machine."""

import json

import pytest

from search.cli.app import run
from search.cluster import node_probe, nodes, preflight
from search.cluster.slots import Node
from search.doctor import cluster, local
from tests.support import fake_ray_head


@pytest.fixture(autouse=True)
def _untracked(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_an_open_cluster_that_others_can_reach_is_exit_3_and_nothing_is_sent_there(capsys):
    with fake_ray_head.head_starter() as start:
        address = start(machines=("10.0.0.1",))
        assert run(["doctor", "--address", address, "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    (row,) = told["checks"]
    assert (row["machine"], row["name"], row["level"]) == (address, "guard", "problem")
    assert "whoever reaches 10.0.0.1 can run code" in row["found"]
    assert "RAY_AUTH_MODE=token" in row["todo"]


def test_a_cluster_that_is_away_is_exit_3(capsys):
    assert run(["doctor", "--address", "127.0.0.1:1"]) == 3
    assert "no Ray head answers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("guard", "machine", "tls", "level"),
    [
        ("open", "127.0.0.1", False, "ok"),
        ("open", "10.0.0.1", False, "problem"),
        ("open", "10.0.0.1", True, "problem"),
        ("token", "10.0.0.1", False, "note"),
        ("token", "10.0.0.1", True, "ok"),
        ("token", "127.0.0.1", False, "ok"),
    ],
)
def test_how_a_cluster_is_guarded(guard, machine, tls, level):
    found = preflight.ClusterAuth("a:1", guard, (machine,), "2.60.0", tls)
    assert local.check_guard(found).level == level


def machine_with(home, ahead=0.0, for_trials=0.0, **changes):
    """What the doctor says of one machine, by name of the check."""
    here = {
        "versions": node_probe.list_versions(list(nodes.PACKAGES)),
        "code": "c0de",
        "stores": {"/corpora/1": "a" * 64},
    }
    room = {"free_bytes": 100 * 2**30, "cache": "/tmp/c", "cache_free_bytes": 100 * 2**30}
    facts = here | room | {"storage": "", "gpus": [], "tracking": ""}
    node = Node("10.0.0.2", 4, for_trials)
    looked = nodes.NodeReport(node, facts | changes, "", ahead, 0.01)
    found = nodes.ClusterSurvey(home, here, [looked])
    return {each.name: each for each in cluster._check_machine(found, looked, 2)}


def test_a_machine_like_the_drivers_is_in_order(tmp_path):
    assert {each.level for each in machine_with(tmp_path).values()} == {"ok"}


@pytest.mark.parametrize(
    ("name", "level", "changes"),
    [
        ("versions", "problem", {"code": "0ther"}),
        ("storage", "problem", {"storage": "read: No such file or directory"}),
        ("disk", "problem", {"free_bytes": 2**29}),
        ("disk", "note", {"free_bytes": 2 * 2**30}),
        ("cache", "note", {"cache_free_bytes": 2 * 2**30}),
        ("corpus 1", "problem", {"stores": {"/corpora/1": "b" * 64}}),
        ("GPUs", "note", {"for_trials": 1.0}),
        ("clock", "note", {"ahead": 3.0}),
        ("clock", "problem", {"ahead": -3600.0}),
    ],
)
def test_what_differs_on_a_machine_is_told_with_what_to_do(tmp_path, name, level, changes):
    told = machine_with(tmp_path, **changes)
    assert told[name].level == level
    assert told[name].todo
    assert {each.level for key, each in told.items() if key != name} == {"ok"}


@pytest.mark.ray
def test_every_machine_of_a_real_cluster_is_looked_at(local_ray, spksearch_home):
    found = list(cluster.examine(local_ray, insecure=False, seconds=60))
    names = [each.check.name for each in found]
    assert names == ["guard", "versions", "storage", "disk", "cache", "GPUs", "clock"]
    by_name = {each.check.name: each.check for each in found}
    assert by_name["versions"].level == by_name["clock"].level == "ok"
    assert str(spksearch_home) in by_name["storage"].found
