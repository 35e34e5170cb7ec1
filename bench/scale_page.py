"""Write docs/scale.md from the last results: python -m bench.scale_page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.support import result_files

PAGE = Path(__file__).parent.parent / "docs" / "scale.md"


def main() -> None:
    print(write())


def write() -> Path:
    """Write the page from bench/results/scale.json and overhead.json, as far as they exist."""
    scale, overhead = result_files.read("scale"), result_files.read("overhead")
    paragraphs = [*_head()]
    if scale is not None:
        paragraphs += _of_scale(scale, overhead)
    if overhead is not None:
        paragraphs += _of_overhead(overhead)
    PAGE.write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
    return PAGE


def _head() -> Iterator[str]:
    yield "# What large searches cost"
    yield (
        "Written by `python -m bench.scale` and `python -m bench.overhead` from what they measured "
        "(`bench/results/scale.json`, `bench/results/overhead.json`); not by hand."
    )


def _of_scale(found: dict[str, Any], overhead: dict[str, Any] | None) -> Iterator[str]:
    yield f"## {found['trials']:,} trials on {found['slots']:,} slots, simulated"
    yield (
        f"`{found['command']}`, {_where(found)}. Trainings are formulas and their clock is made "
        "up; rule, sampler, ledger (fsync on) and tracker are those of a launch. The driver is "
        f"told of epochs as fast as it can take them: {found['reports']:,} reports, "
        f"{found['events']:,} events of the ledger, {found['simulated_hours']:g} hours of the "
        f"made-up clock at {found['epoch_seconds']:g} s an epoch. Ray is not in it."
    )
    yield "\n".join(_table(found))
    yield "**Suggestions, by how many trials there are:**"
    yield "\n".join(_suggestions(found))
    yield "**The next limit.** " + " ".join(limits(found, overhead))
    yield "**Where the driver's time goes** (its stack, looked at every 5 ms): " + _shares(found)


def _table(found: dict[str, Any]) -> Iterator[str]:
    driver, ledger, memory = found["driver"], found["ledger"], found["memory"]
    rows = {
        "reports a second that the driver takes": f"**{driver['reports_a_second']:g}**",
        "a report, ms (median, 95 %, 99 %)": _ms(driver["report_ms"]),
        "what a free slot does next, ms": _ms(driver["next_segment_ms"]),
        "the same where it is a new trial, ms": _ms(driver["new_trial_ms"]),
        "memory, MB at the first trial": f"{memory['first_mb']:g}",
        "memory, MB at the last": f"{memory['last_mb']:g}",
        "memory for each 1,000 trials more, MB": f"{memory['mb_per_1000_trials']:g}",
        "ledger, MB": f"{ledger['bytes'] / 1e6:.1f}",
        "ledger, bytes a trial": f"{ledger['bytes_a_trial']:,}",
        "the disk's fsync of a line alone, ms": _ms(ledger["fsync_ms"]),
        "starting again: ledger read, s": f"{ledger['read_seconds']:g}",
        "starting again: first suggestion, s": f"{ledger['first_suggestion_seconds']:g}",
        "a driver that starts again has the same state, job and suggestion": (
            "yes" if ledger["goes_on_the_same"] else "**no**"
        ),
        "a snapshot for the live view, s": f"{ledger['snapshot_seconds']:g}",
        **(_of_tracker(found["tracker"]) if "tracker" in found else {}),
    }
    yield "| | |"
    yield "|--|--|"
    for name, text in rows.items():
        yield f"| {name} | {text} |"


def _of_tracker(found: dict[str, Any]) -> dict[str, str]:
    beside = f"{found['events_a_second_beside_the_driver']:g}"
    rows = {
        "events behind when the driver was done": f"{found['behind_at_the_end']:,}",
        "events a second to MLflow, beside the driver at full speed": beside,
        "events a second to MLflow, afterwards": f"**{found['events_a_second']:g}**",
    }
    if found["caught_up_in_seconds"] is not None:
        return rows | {"caught up after, s": f"{found['caught_up_in_seconds']:g}"}
    return rows | {
        "not caught up when the bench ended; events left": f"{found['events_left']:,}",
        "the whole search at that speed, s": f"{found['whole_search_seconds'] or '-'}",
    }


def _suggestions(found: dict[str, Any]) -> Iterator[str]:
    yield "| trials | median, ms | 95 %, ms |"
    yield "|--|--|--|"
    for row in found["suggest_ms"]:
        low, high = row["trials"]
        yield f"| {low:,} to {high:,} | {row['p50']:.1f} | {row['p95']:.1f} |"


def limits(found: dict[str, Any], overhead: dict[str, Any] | None) -> Iterator[str]:
    """Return what each part can sustain, in sentences, the narrowest part first."""
    minute = found["epoch_seconds"]
    rates = {"the driver": found["driver"]["reports_a_second"]}
    if "tracker" in found:
        events_a_report = found["events"] / found["reports"]
        rates["MLflow and what feeds it"] = found["tracker"]["events_a_second"] / events_a_report
    if overhead is not None:
        rates["Tune's loop with the driver in it"] = 1000 / overhead["ours"]["wall_ms_a_report"]
    wanted = found["slots"] / minute
    yield (
        f"{found['slots']:,} slots with epochs of {minute:g} s make {wanted:.1f} reports a second."
    )
    ordered = sorted(rates.items(), key=lambda item: item[1])
    for name, rate in ordered:
        yield (
            f"{name[0].upper()}{name[1:]} can take {rate:.0f} a second, that is "
            f"{rate * minute:,.0f} slots with such epochs, or epochs of "
            f"{found['slots'] / rate:.1f} s on {found['slots']:,}."
        )
    narrowest, rate = ordered[0]
    if rate < wanted:
        yield f"So {narrowest} does not keep up with {found['slots']:,} slots."
    else:
        yield f"So the next limit is {narrowest}, at {rate / wanted:.1f} times these slots."
    if narrowest.startswith("MLflow"):
        yield (
            "It is no limit of the search, which does not wait for it: MLflow shows it later, "
            "and is caught up with when the search has slack or has ended."
        )
    share, part = max((share, name) for name, share in found["driver"]["shares"].items())
    yield f"In the driver itself the largest part is {part}, {share:.0%} of its time."


def _shares(found: dict[str, Any]) -> str:
    shares = found["driver"]["shares"].items()
    return ", ".join(f"{name} {share:.0%}" for name, share in shares if share >= 0.01) + "."


def _of_overhead(found: dict[str, Any]) -> Iterator[str]:
    ours, shipped = found["ours"], found["shipped"]
    yield "## Beside the shipped glue, on a real local Ray"
    yield (
        f"`{found['command']}`, {_where(found)}. Trials that take no "
        f"time, of one class trainable, actors reused, {found['slots']} slots, "
        f"rungs {'/'.join(map(str, found['rungs']))}, one MLflow server on sqlite for both. "
        "Shipped: Tune with OptunaSearch, ASHAScheduler and MLflowLoggerCallback. Ours "
        f"{ours['trials']:,} trials; shipped {shipped['trials']:,} trials, and extrapolated: its "
        "milliseconds a trial are those of these."
    )
    yield "\n".join(_overhead_table(ours, shipped))
    yield "\n".join(_claims(found["rows"]))


def _overhead_table(ours: dict[str, Any], shipped: dict[str, Any]) -> Iterator[str]:
    yield "| | ours | shipped |"
    yield "|--|--|--|"
    names = {
        "trials": "trials",
        "reports": "reports",
        "wall_seconds": "wall, s",
        "wall_ms_a_trial": "wall ms a trial",
        "wall_ms_a_report": "wall ms a report",
        "processor_ms_a_trial": "driver's processor ms a trial",
        "processor_ms_a_report": "driver's processor ms a report",
        "tracking_held_ms_a_report": "tracking holds the driver's loop up, ms a report",
        "tracking_processor_ms_a_report": "tracking, processor ms a report",
        "mb_per_1000_trials": "memory for each 1,000 trials more, MB",
    }
    for key, name in names.items():
        yield f"| {name} | {ours[key]:g} | {shipped[key]:g} |"


def _claims(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| claim | ours | shipped | ratio |"
    yield "|--|--|--|--|"
    for row in rows:
        yield f"| {row['claim']} | {row['ours']:g} | {row['shipped']:g} | {row['ratio']:.1f} |"


def summary(found: dict[str, Any]) -> Iterator[str]:
    """Return a summary for the terminal."""
    yield from _table(found)
    yield from _suggestions(found)
    yield _shares(found)
    yield from limits(found, result_files.read("overhead"))


def _where(found: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    machine = found["machine"]
    return (
        f"{found['date'][:10]}, {machine['cpus']} cores ({machine['processor']}), "
        f"load {found['load_before']} before and {found['load_after']} after; {versions}"
    )


def _ms(quantiles: dict[str, float]) -> str:
    return ", ".join(f"{value:.2f}" for value in quantiles.values())


if __name__ == "__main__":
    main()
