"""What a replay came to, for people and for programs. Every table says how small it was."""

from collections.abc import Sequence

from rich.table import Table

from search.notebook.claims import Judged
from search.notebook.replay import Replay, Result
from search.reporting.documents import Document
from search.reporting.tables import format_interval as interval_text
from search.reporting.tables import format_percent

_PERCENT = ("dev_eer", "train_accuracy")


def result_table(replay: Replay, found: Sequence[Result]) -> Table:
    """One entry and seed a row, in the order of the notebook."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("entry", *(["seed"] if replay.seeds > 1 else []), "based on", "trial", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("dev EER", "95 %", "train loss", "accuracy", "active"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("change", overflow="fold")
    for result in sorted(found, key=lambda each: (_place(replay, each), each.seed)):
        metrics = result.metrics
        basis = result.entry.warm_start or result.entry.based_on or ""
        table.add_row(
            result.entry.number,
            *([str(result.seed)] if replay.seeds > 1 else []),
            f"weights of {basis}" if result.entry.warm_start else basis,
            result.trial or "",
            result.state,
            format_percent(metrics.get("dev_eer")),
            interval_text(metrics.get("dev_eer_low"), metrics.get("dev_eer_high")),
            _number(metrics.get("train_loss")),
            format_percent(metrics.get("train_accuracy")),
            format_percent(metrics.get("active_triplet_fraction")),
            result.reason if result.state in ("failed", "withdrawn") else result.entry.change,
        )
    return table


def _place(replay: Replay, result: Result) -> int:
    return replay.entries.index(result.entry)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def scale_line(replay: Replay) -> str:
    """What the figures may be held against."""
    if replay.scale.is_full:
        return "at the sizes of the log"
    return (
        f"{replay.scale.words}: these are other networks than the log's, on other data; what they "
        "say is about the direction of a change, not about its size"
    )


# --- claims ----------------------------------------------------------------------------------


def claim_table(found: Sequence[Judged]) -> Table:
    """One claim a row, with its verdict."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("verdict", "claim"):
        table.add_column(heading, no_wrap=True)
    for heading in ("difference", "95 %", "pairs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("the log", overflow="fold")
    for each in found:
        table.add_row(
            each.verdict,
            each.claim.text,
            difference_text(each, each.mean),
            interval_of(each),
            pairs_text(each),
            each.claim.finding,
        )
    return table


def difference_text(judged: Judged, value: float | None) -> str:
    """A difference in the unit of its measure; of rates, in points of percent."""
    if value is None:
        return "-"
    return f"{value * 100:+.2f}" if judged.claim.measure in _PERCENT else f"{value:+.4f}"


def interval_of(judged: Judged) -> str:
    """The interval of the mean difference."""
    if judged.low is None or judged.high is None:
        return "-"
    return f"{difference_text(judged, judged.low)} .. {difference_text(judged, judged.high)}"


def pairs_text(judged: Judged) -> str:
    """How many pairs, and how many trainings failed on which side."""
    parts = [
        f"{count} of {number} failed"
        for count, number in (
            (judged.failed_entry, judged.claim.entry),
            (judged.failed_against, judged.claim.against),
        )
        if count
    ]
    return f"{judged.pairs} ({', '.join(parts)})" if parts else str(judged.pairs)


def verdict_line(found: Sequence[Judged]) -> str:
    """How many of each."""
    verdicts = [each.verdict for each in found]
    kinds = ("reproduced", "contradicted", "undecided", "not run")
    counted = [f"{verdicts.count(kind)} {kind}" for kind in kinds if kind in verdicts]
    claims = "claim" if len(found) == 1 else "claims"
    return f"{len(found)} {claims}: {', '.join(counted)}"


# --- for programs ----------------------------------------------------------------------------


def of_result(result: Result) -> Document:
    """An entry as `replay --json` gives it."""
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


def of_judged(judged: Judged) -> Document:
    """A claim as `replay --check --json` gives it."""
    return judged.claim.model_dump() | {
        "verdict": judged.verdict,
        "pairs": judged.pairs,
        "differences": list(judged.differences),
        "mean": judged.mean,
        "low": judged.low,
        "high": judged.high,
        "failed_entry": judged.failed_entry,
        "failed_against": judged.failed_against,
    }
