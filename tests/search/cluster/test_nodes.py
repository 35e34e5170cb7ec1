"""What machines say of themselves; several raylets on this one play the machines."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from search.cluster import node_probe, nodes
from search.cluster.autoscaling import list_checked_nodes
from search.cluster.slots import Needs, Node
from search.core.errors import EnvironmentSetupError
from spkmodel.data import store_cache
from tests.support.programs import growing_cluster


def looked(name="10.0.0.2", **facts):
    here = {
        "versions": node_probe.list_versions(list(nodes.PACKAGES)),
        "code": node_probe.hash_code(),
        "storage": "",
    }
    return nodes.NodeReport(Node(name, 4, 0, name), here | facts)


def survey_of(machine, tmp_path):
    return nodes.ClusterSurvey(tmp_path, looked().facts, [machine])


def test_storage_that_is_another_folder_cannot_be_written_or_is_not_there_is_told(tmp_path):
    shared, other = tmp_path / "shared", tmp_path / "other"
    for folder, word in ((shared, "ours"), (other, "theirs")):
        folder.mkdir()
        (folder / "driver").write_text(word)
    assert node_probe.try_storage(str(shared), "ours", "n1") == ""
    assert (shared / "n1").read_text() == "ours"
    assert not list(shared.glob("*.tmp"))
    assert "another folder" in node_probe.try_storage(str(other), "ours", "n1")
    gone = node_probe.try_storage(str(tmp_path / "gone"), "ours", "n1")
    assert gone == "read: No such file or directory"
    (shared / "n2").mkdir()
    (shared / "n2" / "full").touch()
    assert node_probe.try_storage(str(shared), "ours", "n2").startswith("rename: ")


def test_what_is_installed_otherwise_is_named_with_both_versions(tmp_path):
    same = looked()
    assert nodes.describe_differences(survey_of(same, tmp_path), same) == ""
    versions = same.facts["versions"]
    other = looked(versions=versions | {"torch": "1.0", "spksearch": ""})
    told = nodes.describe_differences(survey_of(other, tmp_path), other)
    assert f"torch 1.0 (here {versions['torch']})" in told
    assert "spksearch is missing" in told
    changed = looked(code="another")
    assert "code of spksearch" in nodes.describe_differences(survey_of(changed, tmp_path), changed)


def test_folders_that_trials_read_and_a_machine_lacks_are_named(tmp_path):
    (tmp_path / "noise").mkdir()
    (tmp_path / "rooms").touch()
    asked = [str(tmp_path / name) for name in ("noise", "rooms", "gone")]
    assert node_probe.find_missing_folders(asked) == asked[1:]
    assert nodes.describe_missing_folders(looked(missing=[])) == ""
    told = nodes.describe_missing_folders(looked(missing=["/data/noise", "/data/rooms"]))
    assert told == "it has no folder /data/noise and no folder /data/rooms, which trials read"


def test_a_store_is_known_by_its_samples_too(tmp_path):
    def store(name, last):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "corpus.json").write_text("{}")
        (folder / "index.npz").write_bytes(b"index")
        samples = np.zeros(200_000, dtype=np.int16)
        samples[-1] = last
        samples.tofile(folder / "audio.i16")
        return str(folder)

    one, same, other = store("one", 1), store("same", 1), store("other", 2)
    assert node_probe.hash_store(one) == node_probe.hash_store(same)
    assert node_probe.hash_store(one) != node_probe.hash_store(other)
    shutil.rmtree(other)
    assert node_probe.hash_store(other) == "No such file or directory"


def test_a_machine_looks_for_its_corpora_where_its_trials_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("SPKSEARCH_CACHE", raising=False)
    assert Path(node_probe.cache_folder()) == store_cache.cache_folder()
    monkeypatch.setenv("SPKSEARCH_CACHE", str(tmp_path / "mine"))
    assert Path(node_probe.cache_folder()) == store_cache.cache_folder() == tmp_path / "mine"


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_a_machine_of_a_real_cluster_is_checked_and_one_that_is_gone_is_named(tmp_path):
    here = nodes.list_nodes()
    nodes.check_nodes(here, tmp_path)
    assert list(tmp_path.iterdir()) == []
    found = nodes.survey_nodes(here, tmp_path, stores=["/nowhere"], tracking="http://127.0.0.1:1")
    (machine,) = found.machines
    assert machine.facts["stores"] == {"/nowhere": "No such file or directory"}
    assert "refused" in machine.facts["tracking"]
    assert abs(machine.clock_ahead_seconds) <= machine.clock_error_seconds + 0.01
    gone = Node("10.9.9.9", 4, 0, "ab" * 28)
    with pytest.raises(EnvironmentSetupError, match=r"1 of 2 machines") as problem:
        nodes.check_nodes([*here, gone], tmp_path, seconds=5)
    assert "10.9.9.9" in str(problem.value)


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_a_trial_that_fits_on_no_machine_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(EnvironmentSetupError, match="wants 64 CPUs"):
        list_checked_nodes(Needs(64), tmp_path)
    assert len(list_checked_nodes(Needs(1), tmp_path)) == 1


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.timeout(180)
def test_slots_follow_a_cluster_that_grows_and_shrinks(tmp_path):
    program = [sys.executable, growing_cluster.__file__, str(tmp_path)]
    done = subprocess.run(program, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert [told["at first"], told["grown"], told["at most 4"], told["shrunk"]] == [2, 5, 4, 2]
    assert told["seconds to grow"] < 20
    assert told["seconds to shrink"] < 20
    assert "no machine of the cluster has that" in told["too large"]
