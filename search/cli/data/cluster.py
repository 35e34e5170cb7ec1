"""The verb `cluster check`: check cluster files without a cluster."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Json
from search.reporting import console

if TYPE_CHECKING:
    from search.cluster.files.findings import FileFindings

app = typer.Typer(
    name="cluster",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Check files that describe clusters.",
)

CHECK = console.help_text(
    "Check files that say where to run, without a cluster and without a network.",
    "spksearch cluster check cluster",
    "spksearch cluster check my-cluster.yaml job.sh --json",
    more="Files are recognised by what is in them: ray up, KubeRay and core Kubernetes manifests, "
    "compose, SkyPilot, Slurm and other shell scripts, Dockerfiles. Each is checked by its "
    "schema; misspelt names are shown with the right one. What would leave a cluster open is "
    "shown too: no token, a dashboard on every interface, a secret in clear text. Folders are "
    "searched. "
    "Exit code 2 if any file is bad.",
)


@app.command("check", help=CHECK, short_help="Check cluster files offline.")
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")],
    json_wanted: Json = False,
) -> int:
    """Check cluster files offline, and print what is wrong with them."""
    from search.cluster.files.check import check_files

    reports = check_files(paths)
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(
            document("cluster_check", files=[_report_document(report) for report in reports])
        )
    else:
        console.print_result(*_format_reports(reports))
    return 2 if any(report.status == "bad" for report in reports) else 0


def _report_document(report: "FileFindings") -> dict[str, object]:
    return {
        "file": str(report.file),
        "kind": report.kind or None,
        "status": report.status,
        "skipped": report.skipped or None,
        "findings": [asdict(finding) for finding in report.findings],
        "unchecked": list(report.unchecked),
    }


def _format_reports(reports: list["FileFindings"]) -> list[str]:
    lines = []
    for report in reports:
        kind = f" ({report.kind})" if report.kind else ""
        why = f": {report.skipped}" if report.skipped else ""
        lines.append(f"{report.status:7} {report.file}{kind}{why}")
        for finding in report.findings:
            source = f"{report.file}:{finding.line}" if finding.line else str(report.file)
            where = f"{finding.where}: " if finding.where else ""
            lines.append(f"        {source}: {where}{finding.message}")
        lines += [f"        not checked: {reason}" for reason in report.unchecked]
    counts = {
        status: sum(report.status == status for report in reports)
        for status in ("ok", "bad", "skipped")
    }
    return [*lines, ", ".join(f"{count} {status}" for status, count in counts.items())]
