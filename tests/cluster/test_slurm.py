"""The shipped job script on a real Slurm of three nodes."""

import sys
import time

import pytest

from tests.cluster import ray_hosts, slurm_hosts
from tests.cluster.programs import wait_for
from tests.cluster.searches import seconds_between

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(800)]


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

    def output_tail():
        return output.read_text(errors="replace")[-3000:] if output.exists() else ""

    busy = set()

    def under_way():
        busy.update(node.name for node in slurm.nodes if node.processes(ray_hosts.TRAINING))
        assert slurm.field(job, "JobState") in ("PENDING", "CONFIGURING", "RUNNING"), output_tail()
        return len(busy) == len(slurm.nodes) and search.reports() >= 4

    wait_for(under_way, 240, "four epochs, and a trial on every node")
    requeued = time.time()
    slurm.requeue(job)

    def resumed():
        return [
            event
            for event in search.events("report")
            if len(search.events("driver")) == 2
            and seconds_between(search.events("driver")[1].time, event.time) >= 0
        ]

    wait_for(resumed, 300, "the requeued job to go on")
    first = resumed()[0]
    wait_for(lambda: slurm.field(job, "JobState") == "COMPLETED", 300, "the end of the job")
    over = time.time()
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
        next_epoch_after_requeue_seconds=seconds_between(requeued, first.time),
        nodes_free_after_last_event_seconds=seconds_between(search.events()[-1].time, over),
        trials_lost=0,
        epochs_redone=0,
    )


def test_before_its_limit_a_job_leaves_in_order_and_comes_back_by_itself(
    slurm, storage, tracking, figure
):
    search = storage.search("slurm-limit")
    output = search.folder.parent / "slurm-limit.out"
    output.parent.mkdir(exist_ok=True)
    command = storage.launch(
        storage.slow_space, "slurm-limit", trials=6, max_epochs=3, tracking_uri=tracking
    )
    job = slurm.submit(
        slurm.controller.network.source / "cluster" / "slurm.sh",
        *command[command.index("launch") + 1 :],
        output=output,
        SPKSEARCH_VENV=sys.prefix,
    )
    wait_for(lambda: search.reports() >= 2, 300, "two epochs")
    told = time.time()
    # What Slurm itself sends by --signal=B:USR1@180, three minutes before the limit.
    sent = slurm.controller.run("scancel", "--batch", "--signal=USR1", job)
    assert sent.returncode == 0, sent.stderr
    wait_for(
        lambda: "back into the queue" in output.read_text(errors="replace"), 120, "the launch to go"
    )
    left = time.time()
    wait_for(lambda: slurm.field(job, "Restarts") == "1", 90, "the job to put itself back")
    said = output.read_text(errors="replace")
    assert "the launch is told to leave" in said
    assert "interrupted by SIGTERM" in said
    assert "Command failed with return code 143" in said  # the launch's own, as the node saw it
    crashes = [event for event in search.events("crash") if getattr(event, "counts", None)]
    assert crashes == []  # cut by the launch, not by dying nodes
    wait_for(lambda: slurm.field(job, "JobState") == "COMPLETED", 300, "the end of the job")
    assert slurm.field(job, "ExitCode") == "0:0"
    assert slurm.field(job, "Restarts") == "1"
    state = search.assert_sound()
    assert len(search.events("driver")) == 2
    assert len(state.trials) == 6
    assert state.finish is not None
    again = search.events("driver")[1].time
    figure(
        "Slurm, told to leave before its limit",
        nodes=len(slurm.nodes),
        restarts=1,
        nodes_left_after_seconds=seconds_between(told, left),
        driven_again_after_seconds=seconds_between(told, again),
        trials_lost=0,
        epochs_redone=0,
    )
