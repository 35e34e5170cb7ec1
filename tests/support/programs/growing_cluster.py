"""Run a cluster of raylets that grows and shrinks, and print what the slots did."""

import json
import sys
import time
from pathlib import Path

from search.cluster.connection import prepare_environment


def seconds_until(condition):
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > 60:
            raise SystemExit("it did not come about")
        time.sleep(0.05)
    return time.monotonic() - began


MEMORY = {"object_store_memory": 80 << 20}


def main(home):
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, **MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(num_cpus=2, **MEMORY)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        told = grow_and_shrink(cluster, home)
    finally:
        ray.shutdown()
        cluster.shutdown()
    sys.stdout.write(json.dumps(told) + "\n")


def grow_and_shrink(cluster, home):
    from search.cluster.autoscaling import SlotMonitor, list_checked_nodes, run_slot_monitor
    from search.cluster.slots import Needs
    from search.core.errors import EnvironmentSetupError

    told, limit, needs = {}, [None], Needs(1)
    room = SlotMonitor(
        list_checked_nodes(needs, home), needs, home, most=lambda: limit[0], wanted=lambda: 3
    )
    with run_slot_monitor(room):
        told["at first"] = room()
        joined = cluster.add_node(num_cpus=3, **MEMORY)
        told["seconds to grow"] = seconds_until(lambda: room() == 5)
        told["grown"] = room()
        limit[0] = 4
        told["at most 4"] = room()
        limit[0] = None
        cluster.remove_node(joined)
        told["seconds to shrink"] = seconds_until(lambda: room() == 2)
        told["shrunk"] = room()
    try:
        list_checked_nodes(Needs(4), home)
    except EnvironmentSetupError as problem:
        told["too large"] = str(problem)
    return told


if __name__ == "__main__":
    prepare_environment()
    main(Path(sys.argv[1]))
