"""The shipped job script on a real Slurm of three nodes."""

import sys
import time

import pytest
import ray_hosts
import slurm_hosts
from programs import wait_for
from searches import seconds_between

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def slurm(network, storage):
    """A controller and three nodes, with nothing to do."""
    if reason := slurm_hosts.missing():
        pytest.skip(reason)
    slurm = slurm_hosts.Slurm(network, storage.folder)
    yield slurm
    slurm.power_off()


def test_a_job_that_is_requeued_goes_on_with_its_search(slurm, storage, tracking, figure):
    search = storage.search("slurm")
    output = search.folder.parent / "slurm.out"
    output.parent.mkdir(exist_ok=True)
    command = storage.launch(
        storage.slow_space, "slurm", trials=8, max_epochs=3, tracking_uri=tracking
    )
    job = slurm.submit(
        slurm.controller.network.source / "cluster" / "slurm.sh",
        *command[command.index("launch") + 1 :],
        output=output,
        SPKSEARCH_VENV=sys.prefix,
    )

    def words():
        return output.read_text(errors="replace")[-3000:] if output.exists() else ""

    busy = set()

    def under_way():
        busy.update(node.name for node in slurm.nodes if node.processes(ray_hosts.TRAINING))
        assert slurm.field(job, "JobState") in ("PENDING", "CONFIGURING", "RUNNING"), words()
        return len(busy) == len(slurm.nodes) and search.reports() >= 4

    wait_for(under_way, 150, "four epochs, and a trial on every node")
    requeued = time.time()
    slurm.requeue(job)

    def resumed():
        return [
            event
            for event in search.events("report")
            if len(search.events("driver")) == 2
            and seconds_between(search.events("driver")[1]["time"], event["time"]) >= 0
        ]

    wait_for(resumed, 150, "the requeued job to go on")
    first = resumed()[0]
    wait_for(lambda: slurm.field(job, "JobState") == "COMPLETED", 150, "the end of the job")
    assert slurm.field(job, "Restarts") == "1"
    assert slurm.field(job, "ExitCode") == "0:0"
    assert "restart 1: the search goes on from its ledger" in output.read_text()
    state = search.assert_sound()
    assert len(state.trials) == 8
    assert state.finish is not None
    token = storage.home / "ray-token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text() not in slurm.controller.run("scontrol", "show", "job", job).stdout
    figure(
        "Slurm",
        nodes=len(slurm.nodes),
        restarts=1,
        next_epoch_after_requeue_seconds=seconds_between(requeued, first["time"]),
        trials_lost=0,
        epochs_redone=0,
    )
