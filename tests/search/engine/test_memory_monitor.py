"""Ray's memory monitor kills a trial's process for real, on a Ray of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.ledger.ledger import Ledger

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(300)]

PROGRAM = """
import sys
from pathlib import Path
from search.cluster.connection import prepare_environment
prepare_environment()
import ray
from tests.support import toy_ray_search
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
         logging_level="ERROR", object_store_memory=100 << 20)
toy_ray_search.run_search(Path(sys.argv[1]), trials=3, max_epochs=1, eats=["t0002"])
"""


def test_a_trial_that_eats_the_machines_memory_fails_alone(tmp_path):
    rows = Path("/proc/meminfo").read_text().splitlines()
    memory = {row.split(":")[0]: int(row.split()[1]) for row in rows}
    used = 1 - memory["MemAvailable"] / memory["MemTotal"]
    environment = os.environ | {
        "RAY_memory_usage_threshold": str(round(used + 0.12, 3)),
        "RAY_memory_monitor_refresh_ms": "100",
        "RAY_AUTH_MODE": "disabled",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    folder = tmp_path / "eater"
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], env=environment, check=True, timeout=240
    )
    ledger = Ledger.open(folder / "ledger.jsonl")
    trials = ledger.trials()
    assert trials["t0002"].failure == "out_of_memory", json.dumps(list(ledger.events())[-9:])
    assert "running low on memory" in trials["t0002"].reason
    assert trials["t0001"].epoch == trials["t0003"].epoch == 1
