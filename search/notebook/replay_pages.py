"""Format the results of a replay: tables for people, JSON documents for programs."""

from collections.abc import Sequence

from rich.table import Table

from search.notebook.claims import ClaimResult
from search.notebook.replay_plan import ReplayPlan
from search.notebook.replay_results import EntryResult
from search.reporting.documents import Document
from search.reporting.formatting import format_interval as format_rate_interval
from search.reporting.formatting import format_percent

_PERCENT = ("dev_eer", "train_accuracy")


def result_table(plan: ReplayPlan, results: Sequence[EntryResult]) -> Table:
    """Return a table of results, an entry and seed a row, in the order of the notebook."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("entry", *(["seed"] if plan.seeds > 1 else []), "based on", "trial", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("dev EER", "95 %", "train loss", "accuracy", "active"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("change", overflow="fold")
    for result in sorted(results, key=lambda each: (_entry_rank(plan, each), each.seed)):
        metrics = result.metrics
        basis = result.entry.warm_start or result.entry.based_on or ""
        table.add_row(
            result.entry.number,
            *([str(result.seed)] if plan.seeds > 1 else []),
            f"weights of {basis}" if result.entry.warm_start else basis,
            result.trial or "",
            result.state,
            format_percent(metrics.get("dev_eer")),
            format_rate_interval(metrics.get("dev_eer_low"), metrics.get("dev_eer_high")),
            _format_number(metrics.get("train_loss")),
            format_percent(metrics.get("train_accuracy")),
            format_percent(metrics.get("active_triplet_fraction")),
            result.reason if result.state in ("failed", "withdrawn") else result.entry.change,
        )
    return table


def _entry_rank(plan: ReplayPlan, result: EntryResult) -> int:
    return plan.entries.index(result.entry)


def _format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def scale_line(plan: ReplayPlan) -> str:
    """Return a line that says how far the figures can be compared with the log's."""
    if plan.scale.is_full:
        return "at the sizes of the log"
    return (
        f"{plan.scale.description}: these are other networks than the log's, on other data; what "
        "they say is about the direction of a change, not about its size"
    )


# --- claims ----------------------------------------------------------------------------------


def claim_table(results: Sequence[ClaimResult]) -> Table:
    """Return a table of claims, a claim and its verdict a row."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("verdict", "claim"):
        table.add_column(heading, no_wrap=True)
    for heading in ("difference", "95 %", "pairs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("the log", overflow="fold")
    for each in results:
        table.add_row(
            each.verdict,
            each.claim.text,
            format_difference(each, each.mean),
            format_interval(each),
            format_pairs(each),
            each.claim.finding,
        )
    return table


def format_difference(result: ClaimResult, value: float | None) -> str:
    """Return a difference in the unit of its measure; of rates, in points of percent."""
    if value is None:
        return "-"
    return f"{value * 100:+.2f}" if result.claim.measure in _PERCENT else f"{value:+.4f}"


def format_interval(result: ClaimResult) -> str:
    """Return the interval of the mean difference."""
    if result.low is None or result.high is None:
        return "-"
    return f"{format_difference(result, result.low)} .. {format_difference(result, result.high)}"


def format_pairs(result: ClaimResult) -> str:
    """Return the number of pairs, and how many trainings failed on which side."""
    parts = [
        f"{count} of {number} failed"
        for count, number in (
            (result.failed_entry, result.claim.entry),
            (result.failed_against, result.claim.against),
        )
        if count
    ]
    return f"{result.pairs} ({', '.join(parts)})" if parts else str(result.pairs)


def verdict_line(results: Sequence[ClaimResult]) -> str:
    """Return how many claims have which verdict."""
    verdicts = [each.verdict for each in results]
    kinds = ("reproduced", "contradicted", "undecided", "not run")
    counted = [f"{verdicts.count(kind)} {kind}" for kind in kinds if kind in verdicts]
    claims = "claim" if len(results) == 1 else "claims"
    return f"{len(results)} {claims}: {', '.join(counted)}"


# --- for programs ----------------------------------------------------------------------------


def result_document(result: EntryResult) -> Document:
    """Return the document of an entry in `replay --json`."""
    return {
        "entry": result.entry.number,
        "seed": result.seed,
        "based_on": result.entry.based_on,
        "warm_start": result.entry.warm_start,
        "trial": result.trial,
        "state": result.state,
        "reason": result.reason,
        "metrics": result.metrics,
        "best_dev_eer": result.best_dev_eer,
    }


def claim_document(result: ClaimResult) -> Document:
    """Return the document of a claim in `replay --check --json`."""
    return result.claim.model_dump() | {
        "verdict": result.verdict,
        "pairs": result.pairs,
        "differences": list(result.differences),
        "mean": result.mean,
        "low": result.low,
        "high": result.high,
        "failed_entry": result.failed_entry,
        "failed_against": result.failed_against,
    }
