"""Write the report of a search: one HTML file, from its ledger alone.

Neither Ray nor MLflow need run, and the search may: a report says how far it has come.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.core.atomic_folder import read_report, replace_file
from search.core.errors import EnvironmentSetupError, NotFinished, UsageError
from search.core.paths import existing_ledger
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.reporting.formatting import (
    format_duration,
    format_interval,
    format_percent,
    format_value,
)
from search.reporting.snapshot import Snapshot, read_dev_eer, take_snapshot
from search.reporting.tables import format_counts
from search.reports import search_charts
from search.reports.facts import failures, fates, importance, narrowed_space, next_ranges
from search.reports.facts.attempts import read_timeline
from search.reports.facts.narrowed_space import NarrowedSpace
from search.reports.facts.reproduce import describe_reproduction
from search.reports.facts.seeds import find_seed_spreads
from search.reports.facts.verdict import judge_search
from search.reports.figures.progress import DrawnTrial
from search.reports.page import render
from search.reports.page.head import page_head

REPORT = "report.html"
_MOST_ROWS = 300
"""Trials in the table of the page."""


@dataclass(frozen=True)
class WrittenReport:
    """The files of a report."""

    page: Path
    space: Path | None
    """A space file with the ranges that it suggests; None: it suggests none."""
    pngs: tuple[Path, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the paths as `spksearch report --json` prints them."""
        return {
            "page": str(self.page),
            "space": str(self.space) if self.space else None,
            "pngs": [str(path) for path in self.pngs],
        }


@dataclass(frozen=True)
class _Facts:
    """Everything that the page shows, computed once."""

    state: SearchState
    snapshot: Snapshot
    shown: search_charts.SearchFigures
    ranges: next_ranges.NextRanges
    space: NarrowedSpace


def write_report(search: str, folder: Path) -> Path:
    """Write `report.html` of a search, and the space file that it suggests, into a folder.

    The folder is made if it is not there; a report that is there is replaced.

    Raises:
        NotFound, NotFinished: no such search, or nothing is recorded yet.
        UsageError: a file is there where the space file would go, and it is no report's.
        EnvironmentSetupError: if nothing can be written there.
    """
    return write_files(search, folder / REPORT).page


def write_files(
    search: str, page: Path, *, pngs: bool = False, status: str | None = None
) -> WrittenReport:
    """Write a report with the files that go with it; see `write_report`.

    Args:
        search: its name.
        page: of the HTML file; what else is written lies beside it.
        pngs: whether every figure is also written as a PNG.
        status: of the search, as `spksearch status` says it; by default what the ledger can tell.
    """
    ledger = Ledger.open(existing_ledger(search))
    events = list(ledger.events())
    state = SearchState.from_events(events)
    if state.settings is None:
        raise NotFinished(f"search {search!r} has recorded nothing yet; look again in a moment")
    snapshot = take_snapshot(state, status=status)
    is_running = snapshot.state in ("running", "starting")
    shown = search_charts.SearchFigures(
        trials=_number_trials(state, snapshot.state),
        rungs=state.rungs,
        timeline=read_timeline(events, is_running=is_running),
        importance=importance.measure_importance(state),
        seeds=find_seed_spreads(state.trials.values()),
        objectives=state.search.objectives,
    )
    ranges = next_ranges.suggest_ranges(state)
    space = narrowed_space.narrow_space(
        state.search.settings, state.search.space_file, search, ranges.ranges
    )
    facts = _Facts(state, snapshot, shown, ranges, space)
    return _write(facts, ledger.path.parent, page, pngs=pngs)


def _write(facts: _Facts, folder: Path, page: Path, *, pngs: bool) -> WrittenReport:
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentSetupError(
            f"cannot make {page.parent}: {error.strerror}; choose another --out"
        ) from error
    charts = search_charts.list_charts(facts.shown)
    space = _write_space(facts, page)
    document = _page_facts(facts, folder, space)
    render.write_page(page, "search.html.j2", charts, document)
    written = tuple(render.write_pngs(charts, page.parent)) if pngs else ()
    return WrittenReport(page, space, written)


def _write_space(facts: _Facts, page: Path) -> Path | None:
    """Write the suggested space beside the page; remove that of an earlier report if there is none.

    Raises:
        UsageError: if a file of that name is there that no report has written.
    """
    # A ledger that somebody else wrote may name anything.
    name = re.sub(r"[^A-Za-z0-9_-]", "_", facts.state.search.space)
    path = page.parent / f"{name}_next.py"
    if path.exists() and not narrowed_space.is_ours(path):
        raise UsageError(f"{path} is there and was not written by a report; choose another --out")
    if not facts.space.source:
        path.unlink(missing_ok=True)
        return None
    replace_file(path, facts.space.source.encode("utf-8"))
    return path


def _number_trials(state: SearchState, status: str) -> tuple[DrawnTrial, ...]:
    return tuple(
        DrawnTrial(trial, number, fates.fate_of(trial, status))
        for number, trial in enumerate(state.trials.values(), 1)
    )


# --- what the template shows ------------------------------------------------------------------


def _page_facts(facts: _Facts, folder: Path, space: Path | None) -> dict[str, Any]:
    state, snapshot = facts.state, facts.snapshot
    verdict = judge_search(state, _last_promotion(state, folder))
    rows = _table(facts)
    return {
        **page_head("Search", snapshot.name, _summarise(snapshot, state)),
        "contents": _contents(bool(rows)),
        "best": verdict.best,
        "best_axes": [(name, format_value(value)) for name, value in
                      (verdict.trial.axes if verdict.trial else {}).items()],
        "sentences": verdict.sentences,
        "course": _describe_course(facts),
        "legend": [(fate, count, fates.MEANINGS[fate]) for fate, count in
                   fates.count_fates(state.trials.values(), snapshot.state).items()],
        "failures": failures.count_failures(state.trials.values()),
        "importance_why": facts.shown.importance.why_not,
        "next_why": facts.ranges.why_not,
        "edges": facts.ranges.edges,
        "ranges": facts.ranges.ranges,
        "next_best": facts.ranges.best,
        "next_results": facts.ranges.results,
        "space": facts.space,
        "space_file": space.name if space else "",
        "axes": list(dict.fromkeys(axis for t in state.trials.values() for axis in t.axes)),
        "trials": rows[:_MOST_ROWS],
        "hidden_trials": max(0, len(rows) - _MOST_ROWS),
        "reproduction": describe_reproduction(state),
    }  # fmt: skip


def _contents(has_trials: bool) -> list[tuple[str, str]]:
    parts = [("verdict", "Verdict"), ("course", "How it went"), ("failures", "Failures")]
    if has_trials:
        parts += [("parameters", "Parameters"), ("next", "What to try next"), ("trials", "Trials")]
    return [*parts, ("again", "How to reproduce it")]


def _summarise(snapshot: Snapshot, state: SearchState) -> str:
    reason = f" ({snapshot.reason})" if snapshot.reason else ""
    return (
        f"{snapshot.state.capitalize()}{reason}: {format_counts(snapshot)}. Space "
        f"{snapshot.space}, {state.search.dev_condition} dev pairs of {state.search.corpus}."
    )


def _describe_course(facts: _Facts) -> str:
    snapshot, timeline = facts.snapshot, facts.shown.timeline
    if not timeline.attempts:
        return "Nothing has been trained yet."
    slots = f"{timeline.slots} slot{'s' if timeline.slots > 1 else ''}"
    text = (
        f"{snapshot.epochs} epochs in {format_duration(timeline.seconds)} of work on {slots}, "
        f"which trained {100 * timeline.busy_share():.0f} % of that time."
    )
    if snapshot.eta_seconds is not None:
        text += f" About {format_duration(snapshot.eta_seconds)} left."
    if timeline.drivers:
        text += f" The search was interrupted and resumed {len(timeline.drivers)} time(s)."
    return text


def _last_promotion(state: SearchState, folder: Path) -> dict[str, Any] | None:
    """Return the report of the last promotion whose folder is there."""
    for event in reversed(state.promotions):
        place = Path(event.folder)
        found = read_report(place if place.is_absolute() else folder / place)
        if found is not None and "test" in found:
            return {**found, "trial": event.trial}
    return None


def _table(facts: _Facts) -> list[dict[str, Any]]:
    """Return a row for each trial: those with a result first, best first."""
    axes = list(dict.fromkeys(a for t in facts.state.trials.values() for a in t.axes))

    def key(trial: DrawnTrial) -> tuple[float, int]:
        best = trial.record.best()
        return (2.0 if best is None else best.objective), trial.number

    return [_row(trial, axes) for trial in sorted(facts.shown.trials, key=key)]


def _row(trial: DrawnTrial, axes: Sequence[str]) -> dict[str, Any]:
    record, best = trial.record, trial.record.best()
    low, high = (None, None) if best is None else read_dev_eer(best)[1:]
    return {
        "number": trial.number,
        "trial": record.trial,
        "fate": trial.fate,
        "epochs": record.epoch,
        "eer": format_percent(None if best is None else best.objective),
        "span": format_interval(low, high),
        "cells": [format_value(record.axes.get(name, "")) for name in axes],
    }
