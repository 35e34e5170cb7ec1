"""Format what a check of a corpus has found, for people."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.table import Table

    from spkmodel.data.checks.corpus_check import CorpusReport
    from spkmodel.data.checks.findings import Finding


def format_report(report: "CorpusReport") -> "Iterator[RenderableType]":
    """Yield a table of the splits, what can be trained, and the findings by kind."""
    yield _split_table(report)
    if report.carries.losses:
        yield "largest batches: " + ", ".join(
            f"{shape.speakers} speakers x {shape.utterances}" for shape in report.carries.batches
        )
    for found in report.findings:
        yield from _format_finding(found)


def format_counts(report: "CorpusReport") -> str:
    """Return how many errors there are, and how many utterances cannot be used."""
    total = sum(report.utterances.values())
    counts = [f"{report.unusable} of {total} cannot be used"] if report.unusable else []
    errors = len(report.problems)
    counts.append(f"{errors} error{'' if errors == 1 else 's'} in all")
    return ", ".join(counts)


def _format_finding(found: "Finding") -> "Iterator[str]":
    yield f"{found.severity}: {found.title} ({found.count})"
    for text in found.first:
        yield f"  {text}"
    if found.count > len(found.first):
        yield f"  and {found.count - len(found.first)} more"
    for remedy in found.remedies:
        yield f"  remedy: {remedy}"


def _split_table(report: "CorpusReport") -> "Table":
    """Return a table with a row for each split."""
    from rich.table import Table

    from search.reporting.formatting import format_duration

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("split")
    for heading in ("speakers", "utterances", "length", "target pairs", "non-target pairs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for split, speakers in report.speakers.items():
        table.add_row(
            split,
            str(speakers),
            str(report.utterances[split]),
            format_duration(report.seconds[split]),
            str(report.target_pairs.get(split, "")),
            str(report.non_target_pairs.get(split, "")),
        )
    return table
