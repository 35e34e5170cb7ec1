"""Write docs/reliability.md from the result files alone; no figure is written by hand."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.chaos.faults.catalogue import FAULTS
from bench.chaos.invariants import ALL
from bench.chaos.rounds import results
from bench.chaos.schedule import Record
from bench.chaos.slowdown import AFTER, AWAY, BEFORE

_HEAD = """# What happens when things die

Written by `python -m bench.chaos --page` from the files in `bench/results/`; change those, not
this.

A round launches a real search (Tune, worker processes, checkpoints, ledger, MLflow server) with a
toy to train whose result follows from its checkpoint, injects a fault at a moment drawn from the
seed, and launches the search again by the same command where the fault has ended it. A round has
recovered if the search then ended and every one of these held:

{invariants}

`seconds` are from the fault, or from the launch after it, to the next epoch of a trial that the
fault interrupted. `redone` is the most epochs that any one trial began again. `points` are those of
dev_eer that MLflow lacks, has twice, or has and should not. Rounds whose fault found nothing to
act on are left out.
"""

_CLUSTER = "cluster.json"


def page(folder: Path) -> str:
    """Return the whole page.

    Args:
        folder: with `chaos-SEED.jsonl`, and where there are any the results of the cluster tests.
    """
    files = sorted(folder.glob("chaos-*.jsonl"))
    records = [record for path in files for record in results(path)]
    parts = [_HEAD.format(invariants="\n".join(_invariants())), _table(records)]
    parts += [_skipped(records), _broken(records), _slowed(records)]
    parts += [_measured_with(files, records), _of_clusters(folder / _CLUSTER)]
    return "\n".join(part for part in parts if part)


def _invariants() -> Iterator[str]:
    for invariant in ALL:
        doc = (invariant.__doc__ or "").strip().splitlines()[0]
        yield f"- {doc}"
    yield "- The ledger still begins with what it held before the fault."


def _table(records: list[Record]) -> str:
    by_fault = _by_fault(records)
    lines = [
        "| fault | rounds | recovered | seconds, p50 / p95 | redone | lost / doubled |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, fault in FAULTS.items():
        if played := by_fault.get(name):
            lines.append(f"| {_says(fault.description, played)} | {_row(played)} |")
    return "\n".join([*lines, ""])


def _by_fault(records: list[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if "skipped" not in record and record["notes"].get("struck", True):
            found[record["fault"]].append(record)
    return found


_NOTED = {
    "flushed_seconds": "all written down within {:g} s",
    "exit_seconds": "ended within {:g} s",
    "refused_seconds": "refused within {:g} s",
    "noticed_seconds": "noticed within {:g} s",
}
"""Which notes the page shows: the largest value of all rounds."""


def _says(words: str, played: list[Record]) -> str:
    seconds = sorted({each["notes"]["outage_seconds"] for each in played if _outage(each)})
    words += f", for {' or '.join(f'{each:g}' for each in seconds)} s" if seconds else ""
    for note, sentence in _NOTED.items():
        if noted := [each["notes"][note] for each in played if note in each["notes"]]:
            words += f"; {sentence.format(max(noted))}"
    return words


def _outage(record: Record) -> bool:
    return "outage_seconds" in record["notes"]


def _row(played: list[Record]) -> str:
    seconds = _known(played, "seconds_to_resume")
    redone = _known(played, "epochs_redone")
    lost, doubled = _known(played, "points_lost"), _known(played, "points_doubled")
    cells = [
        str(len(played)),
        str(sum(each["recovered"] for each in played)),
        f"{quantile(seconds, 0.5):.1f} / {quantile(seconds, 0.95):.1f}" if seconds else "",
        f"{max(redone):g}" if redone else "",
        f"{sum(lost):g} / {sum(doubled):g}" if lost else "",
    ]
    return " | ".join(cells)


def _known(played: Iterable[Record], key: str) -> list[float]:
    return [each[key] for each in played if each.get(key) is not None]


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    place = -(-len(ordered) * share // 1)
    return ordered[max(0, int(place) - 1)]


def _skipped(records: list[Record]) -> str:
    why = {each["fault"]: each["skipped"] for each in records if "skipped" in each}
    return "".join(f"Not played: {name}: {words}.\n" for name, words in why.items())


def _broken(records: list[Record]) -> str:
    broken = [each for each in records if "skipped" not in each and not each["recovered"]]
    if not broken:
        return ""
    lines = ["## Rounds that broke an invariant", ""]
    for each in broken:
        words = "; ".join(" ".join(str(word).split())[:300] for word in each["violations"])
        lines.append(f"- {each['fault']} {each['round']}, seed {each['seed']}: {words}")
    return "\n".join([*lines, ""])


_SLOWED = """## What an outage of MLflow slows

Compared is the time from the beginning of an epoch to that of the next one of its segment: epochs
of a second, their checkpoint, the driver and its ledger in between, as they are while MLflow is
away beside the same search just before and after. A first epoch of a process is left out. The
interval holds 95 % of the means of epochs drawn again in blocks of neighbours. `catching up` is the
time from when MLflow was there again until it had been told all that it had missed, on the same
processors.

| fault | load | calm, away | an epoch, s | longer while away | of the medians | catching up |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def _slowed(records: list[Record]) -> str:
    """Return a table row for each round that was long enough to measure a slowdown."""
    lines = []
    for name, fault in FAULTS.items():
        for each in records:
            if each["fault"] == name and (found := each.get("slowing")):
                lines.append(
                    f"| {_says(fault.description, [each])} | {each['load']:g} | {_longer(found)} |"
                )
    return _SLOWED + "\n".join([*lines, ""]) if lines else ""


def _longer(found: dict[str, Any]) -> str:
    epochs = found["epochs"]
    late = found.get("catching_up")
    cells = [
        f"{epochs.get(BEFORE, 0) + epochs.get(AFTER, 0)}, {epochs[AWAY]}",
        f"{found['epoch_seconds']:.3f}",
        f"**{found['mean']:+.2%}** ({found['low']:+.2%} to {found['high']:+.2%})",
        f"{found['median']:+.2%}",
        "" if late is None else f"{late:+.2%}",
    ]
    return " | ".join(cells)


def _measured_with(files: list[Path], records: list[Record]) -> str:
    if not records:
        return "No round has been played yet.\n"
    dates = sorted(each["date"] for each in records)
    seeds = sorted({each["seed"] for each in records})
    loads = sorted(each["load"] for each in records)
    versions = sorted({_versions(each["versions"]) for each in records})
    cores = sorted({each["cores"] for each in records})
    return "\n".join(
        [
            f"Seeds {', '.join(map(str, seeds))}; {dates[0]} to {dates[-1]}; "
            f"{'; '.join(versions)}; {' or '.join(map(str, cores))} processors, "
            f"with a load of {loads[0]:g} to {loads[-1]:g} (median "
            f"{quantile(loads, 0.5):g}) when the rounds began, other work included. "
            f"From {', '.join(path.name for path in files)}.",
            "",
        ]
    )


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {versions[package]}" for package in sorted(versions))


def _of_clusters(path: Path) -> str:
    """Return what `tests/cluster` measured on hosts made of network namespaces."""
    heading = "## Several machines\n"
    if not path.is_file():
        return (
            f"{heading}\nNothing measured yet: `make test-cluster "
            f"SPKSEARCH_CLUSTER_RESULTS=bench/results/{_CLUSTER}` does.\n"
        )
    measured: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    lines = [heading, "| what | figures | measured |", "| --- | --- | --- |"]
    for claim, each in sorted(measured.items()):
        figures = ", ".join(f"{name} {value}" for name, value in each["figures"].items())
        lines.append(f"| {claim} | {figures} | {each['measured']}, ray {each['ray']} |")
    return "\n".join([*lines, ""])
