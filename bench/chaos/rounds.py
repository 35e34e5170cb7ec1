"""Play a schedule of rounds, and keep each round's record in a file."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.chaos.play_round import play
from bench.chaos.schedule import Record, Round
from bench.chaos.shared_servers import SharedServers


def results_path(folder: Path, seed: int) -> Path:
    """Return the file in which the rounds of a seed are kept."""
    return folder / f"chaos-{seed}.jsonl"


def results(path: Path) -> list[Record]:
    """Return the rounds kept so far, each as it was last played; a torn line is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found: dict[tuple[str, int], Record] = {}
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found[record["fault"], record["round"]] = record
    return list(found.values())


def _append(path: Path, record: Record) -> None:
    torn = path.is_file() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * torn + json.dumps(record) + "\n")


def run(
    path: Path,
    wanted: list[Round],
    seed: int,
    outage_seconds: float,
    say: Callable[[Record], None],
    keep: bool = False,
    again: bool = False,
) -> list[Record]:
    """Play the rounds that are not kept yet, keep each as it ends, and return all of them.

    With `again`, rounds that broke an invariant or were skipped are played again.
    """
    there = {
        (each["fault"], each["round"]): each
        for each in results(path)
        if not again or each.get("recovered")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        with SharedServers(folder, outage_seconds) as servers:
            for this in wanted:
                if (this.fault, this.number) not in there:
                    record = play(servers, this, seed, keep)
                    _append(path, record)
                    there[this.fault, this.number] = record
                    say(record)
    finally:
        if not any(folder.glob("*-*-*/output")):
            shutil.rmtree(folder, ignore_errors=True)
    return [there[this.fault, this.number] for this in wanted]
