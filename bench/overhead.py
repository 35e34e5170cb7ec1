"""Measure what a trial costs the driver, beside the glue that Ray and Optuna ship.

python -m bench.overhead [--trials 1000] [--shipped-trials 200] [--slots 2] [--keep-page]

One run: a local Ray, one MLflow server on sqlite, first our engine, then Tune with OptunaSearch,
ASHAScheduler and MLflowLoggerCallback, each a driver of its own with the same class trainable and
reused actors. Of the shipped glue fewer trials are run, and its milliseconds a trial extrapolated.
Writes bench/results/overhead.json and, unless told to keep it, docs/scale.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import scale_page
from bench.support import result_files
from search.cluster import connection
from search.core import import_path
from search.scheduler.policy import ladder
from search.tracking import server as mlflow_server

EPOCHS = 9
ETA = 3
SEED = 0


def main() -> None:
    asked = _parsed()
    result = result_files.describe_measurement(result_files.command_of("bench.overhead"))
    result |= {"slots": asked.slots, "rungs": list(ladder(EPOCHS, ETA))}
    with tempfile.TemporaryDirectory() as folder:
        result |= _both(Path(folder), asked.trials, asked.shipped_trials, asked.slots)
    result["rows"] = rows(result["ours"], result["shipped"])
    print(result_files.write("overhead", result))
    if not asked.keep_page:
        print(scale_page.write())
    for which in ("ours", "shipped"):
        print(which, json.dumps(result[which]))
    for row in result["rows"]:
        print(
            f"{row['claim']}: ours {row['ours']:g}, shipped {row['shipped']:g}: "
            f"{row['ratio']:.1f} times"
        )


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.overhead", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--shipped-trials", type=int, default=200)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--keep-page", action="store_true", help="do not write docs/scale.md")
    return parser.parse_args()


def _both(home: Path, trials: int, shipped: int, slots: int) -> dict[str, Any]:
    os.environ["SPKSEARCH_HOME"] = str(home)
    server = mlflow_server.start(home)
    try:
        with connection.connect("local"):
            import ray

            address = ray.get_runtime_context().gcs_address
            server.wait_ready()
            found = {}
            for which, count in (("ours", trials), ("shipped", shipped)):
                words = [which, address, server.uri, str(count), str(slots), str(home)]
                subprocess.run(
                    [sys.executable, "-P", "-m", "bench.drivers", *words],
                    check=True,
                    env=import_path.child_environment() | server.client_environment(),
                )
                found[which] = json.loads((home / f"{which}.json").read_text(encoding="utf-8"))
            return found
    finally:
        server.stop()


def rows(ours: dict[str, Any], shipped: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the table's rows, in milliseconds and megabytes."""
    pairs = {
        "driver, wall ms a trial": ("wall_ms_a_trial", "wall_ms_a_trial"),
        "driver, wall ms a report": ("wall_ms_a_report", "wall_ms_a_report"),
        "driver, processor ms a trial": ("processor_ms_a_trial", "processor_ms_a_trial"),
        "driver, processor ms a report": ("processor_ms_a_report", "processor_ms_a_report"),
        "tracking: processor ms of its thread a report (shipped: ms that it holds the loop up)": (
            "tracking_processor_ms_a_report",
            "tracking_held_ms_a_report",
        ),
        "tracking, processor ms a report": (
            "tracking_processor_ms_a_report",
            "tracking_processor_ms_a_report",
        ),
        "memory for each 1,000 trials more, MB": ("mb_per_1000_trials", "mb_per_1000_trials"),
    }
    return [
        {
            "claim": claim,
            "ours": ours[mine],
            "shipped": shipped[its],
            "ratio": round(shipped[its] / ours[mine], 1) if ours[mine] else None,
        }
        for claim, (mine, its) in pairs.items()
    ]


if __name__ == "__main__":
    main()
