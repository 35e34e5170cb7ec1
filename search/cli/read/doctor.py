"""The verb `doctor`: check this machine, or every machine of a cluster."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Insecure, Json
from search.reporting import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from search.doctor.check import Check

DOCTOR = console.help_text(
    "Check what is installed and reachable, and say what to do about each problem.",
    "spksearch doctor",
    "spksearch doctor --json",
    "spksearch doctor --clean                     # remove what killed processes left",
    "spksearch doctor --address 10.0.0.1:6379     # every machine of that cluster",
    more="With --address a task on every machine of the cluster checks whether versions and code "
    "are the same as here, whether SPKSEARCH_HOME is shared, and its corpora, disk, GPUs and "
    "clock. Exit "
    "code 3 if something that a search needs does not work, or others can reach an open cluster.",
)


def doctor(
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Look at a running cluster; auto: the one here."),
    ] = None,
    insecure: Insecure = False,
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Remove temporary files whose process has ended."),
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=1.0, help="Seconds that machines may take to answer.")
    ] = 60.0,
    json_wanted: Json = False,
) -> None:
    """Check this machine or a cluster, and print what is wrong and how to repair it."""
    from search.reporting.documents import document

    if clean:
        from search.doctor import leftovers

        for each in leftovers.clean():
            console.print_note(f"removed {each.path} ({each.bytes / 1e6:,.1f} MB)")
    rows, failed = [], False
    for machine, check in _checks(address, insecure, seconds):
        rows.append(({"machine": machine} if address else {}) | asdict(check))
        accepted = insecure and check.name == "guard"
        failed = failed or (check.level == "problem" and not accepted)
        if not json_wanted:
            where = f"{machine:15} " if address else ""
            todo = f"\n{'':9}{check.todo}" if check.todo else ""
            console.print_result(f"{check.level:8} {where}{check.name}: {check.found}{todo}")
    problems = sum(row["level"] == "problem" for row in rows)
    if json_wanted:
        console.print_json(document("doctor", ok=not failed, checks=rows))
    else:
        console.print_note(f"{problems or 'no'} problem{'' if problems == 1 else 's'}")
    raise typer.Exit(3 if failed else 0)


def _checks(address: str | None, insecure: bool, seconds: float) -> "Iterator[tuple[str, Check]]":
    """Yield each check with the machine that it was made on; empty for this machine."""
    if address is None:
        from search.doctor.local import examine as here

        yield from (("", check) for check in here())
        return
    from search.doctor.cluster import examine

    found = examine(address, insecure=insecure, seconds=seconds)
    yield from ((each.machine, each.check) for each in found)
