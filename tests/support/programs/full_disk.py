"""Run a toy search on a file system that fills up during the search and is emptied again."""

import json
import sys
import threading
import time
from pathlib import Path

import ray

from tests.support import toy_ray_search


def fill_and_empty(folder, seconds):
    """Fill the disk once there are four reports, and empty it after some seconds."""
    ledger, ballast = folder / "ledger.jsonl", folder.parent / "ballast"
    while not ledger.is_file() or ledger.read_text().count('"report"') < 4:
        time.sleep(0.05)
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                pass
    time.sleep(seconds)
    ballast.unlink()


if __name__ == "__main__":
    folder = Path(sys.argv[1]) / "search"
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    threading.Thread(target=fill_and_empty, args=(folder, 5.0), daemon=True).start()
    toy_ray_search.run_search(folder, trials=6)
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    json.dump([json.loads(line) for line in lines], sys.stdout)
