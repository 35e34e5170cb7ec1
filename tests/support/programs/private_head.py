"""Start a local Ray head as a search does, print where it is, and hold it until stdin closes."""

import json
import sys

from search.cluster.connection import connect


def main() -> None:
    """Print a JSON object with the head's ports and its session folder."""
    with connect("local"):
        import ray
        from ray._private import worker

        node = worker._global_node
        ports = [int(ray.get_runtime_context().gcs_address.rpartition(":")[2])]
        ports += [each["NodeManagerPort"] for each in ray.nodes()]
        facts = {"ray_ports": ports, "session_folder": node.get_session_dir_path()}
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
