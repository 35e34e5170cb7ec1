"""Format what the verbs on corpora say to people."""

from typing import TYPE_CHECKING

from spkmodel.core.shell import quote_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType
    from rich.table import Table

    from search.data.public.corpus_folder import FetchedCorpus
    from search.data.public.noise_sets import NoiseSet
    from search.data.public.public_corpus import PublicCorpus
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


def public_corpora_table(corpora: "Sequence[PublicCorpus]") -> "Table":
    """Return a table with a row for each public corpus."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("name", "speakers", "utterances", "hours", "download", "licence", ""):
        right = heading in ("speakers", "utterances", "hours", "download")
        table.add_column(heading, justify="right" if right else "left", no_wrap=right)
    for each in corpora:
        table.add_row(
            each.name,
            f"{each.speakers:,}",
            f"{each.utterances:,}",
            f"{each.hours:g}",
            f"{each.download_bytes / 1e9:.1f} GB",
            each.licence + (" (by request)" if each.access else ""),
            each.about,
        )
    return table


def noise_sets_table(sets: "Sequence[NoiseSet]") -> "Table":
    """Return a table with a row for each public set of noise and rooms."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("noise and rooms", "recordings", "download", "licence", ""):
        right = heading in ("recordings", "download")
        table.add_column(heading, justify="right" if right else "left", no_wrap=right)
    for each in sets:
        size = f"{each.download_bytes / 1e9:.1f} GB"
        table.add_row(each.name, f"{each.files:,}", size, each.licence, each.about)
    return table


def format_fetched(folder: "Path", fetched: "FetchedCorpus") -> list[str]:
    """Return what was fetched, its notices and its licence, a line each."""
    speakers = ", ".join(
        f"{count} in {split}" for split, count in fetched.speakers.items() if count
    )
    official = f", its pairs are {fetched.test_list}" if fetched.test_list else ""
    return [
        f"{quote_path(folder)}: {fetched.corpus}, {fetched.utterances:,} utterances; "
        f"speakers: {speakers}{official}",
        *fetched.notices,
        f"licence: {fetched.licence}; see {quote_path(folder / 'SOURCE.md')}",
    ]
