"""Show a comparison: in the terminal, and as one HTML file."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from search.evaluation.pair_list import format_counts
from search.reporting.formatting import format_interval, format_percent, format_value
from search.reports import evaluation_report
from search.reports.comparison import ComparisonResult, Difference
from search.reports.contestants import Contestant
from search.reports.facts.best_so_far import find_improvements
from search.reports.figures import verification
from search.reports.figures.canvas import Chart
from search.reports.figures.verification import IntervalRow
from search.reports.page import render
from search.reports.page.head import page_head

_LETTERS = "ABCDE"
_CAUTION = (
    "An interval of 95 % is of one comparison: of many, one in twenty would call equal models "
    "different."
)


def format_comparison(result: ComparisonResult) -> list[Table | str]:
    """Return the comparison for a terminal: models by letters, differences, configs."""
    first = result.models[0]
    letters = {model.name: letter for model, letter in zip(result.models, _LETTERS, strict=False)}
    parts: list[Table | str] = [f"{first.condition}, {format_counts(first.listed)}"]
    parts += [f"{letter}  {name}" for name, letter in letters.items()]
    parts += ["", _model_table(result, letters), "", _difference_table(result, letters)]
    parts += [f"{_pair(each, letters)}: {each.verdict}" for each in result.differences]
    parts += [_CAUTION] if len(result.differences) > 1 else []
    if result.configs:
        return [*parts, "", _config_table(result, letters)]
    return [*parts, "", "no known config differs from another"]


def _model_table(result: ComparisonResult, letters: Mapping[str, str]) -> Table:
    # 40 columns must do: one between two.
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in ("EER", "95 %", "minDCF .01", ".05"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in result.models:
        numbers = model.numbers
        table.add_row(
            letters[model.name],
            format_percent(numbers["eer"]),
            format_interval(numbers["eer_low"], numbers["eer_high"]) or "-",
            f"{numbers['min_dcf_p01']:.3f}",
            f"{numbers['min_dcf_p05']:.3f}",
        )
    return table


def _pair(difference: Difference, letters: Mapping[str, str]) -> str:
    return f"{letters[difference.first]} - {letters[difference.second]}"


def _difference_table(result: ComparisonResult, letters: Mapping[str, str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in ("points", "95 %", "first\nbetter"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in result.differences:
        table.add_row(
            _pair(each, letters),
            f"{100 * each.difference:+.2f}",
            format_bounds(each),
            format_probability(each),
        )
    return table


def format_bounds(difference: Difference) -> str:
    """Return the interval of a difference in percentage points, or why there is none."""
    if difference.low is None or difference.high is None:
        return difference.why_no_interval
    return f"{100 * difference.low:+.2f} to {100 * difference.high:+.2f}"


def format_probability(difference: Difference) -> str:
    """Return how likely the first is better; beyond a tenth of a percent nothing is known."""
    if difference.probability is None:
        return "-"
    percent = 100 * difference.probability
    return "<0.1 %" if percent < 0.1 else ">99.9 %" if percent > 99.9 else f"{percent:.1f} %"


def _config_table(result: ComparisonResult, letters: Mapping[str, str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("config", overflow="fold")
    for model in result.models:
        table.add_column(letters[model.name], overflow="fold")
    for key, values in result.configs:
        table.add_row(key, *map(_format_entry, values))
    return table


def _format_entry(entry: Any) -> str:
    if entry is None:
        return "-"
    if isinstance(entry, list | tuple):
        return ",".join(map(format_value, entry))
    return format_value(entry)


# --- the page ---------------------------------------------------------------------------------


def write_comparison_page(result: ComparisonResult, page: Path, *, pngs: bool = False) -> Path:
    """Write a comparison as one HTML file; with PNGs beside it if they are wanted.

    Raises:
        EnvironmentSetupError: if nothing can be written there.
    """
    first = result.models[0]
    charts = [*_curve_charts(result.contestants), *evaluation_report.list_charts(result.models)]
    if any(each.low is not None for each in result.differences):
        charts.append(_difference_chart(result.differences))
    heading = " and ".join(model.name for model in result.models)
    facts = {
        **page_head("Comparison", heading, f"{first.condition}, {format_counts(first.listed)}"),
        "contents": [
            ("verdict", "Differences"), ("figures", "Figures"), ("configs", "Configs"),
            ("again", "How it was scored"),
        ],
        "sentences": [_sentence(each) for each in result.differences],
        "caution": _CAUTION if len(result.differences) > 1 else "",
        "models": evaluation_report.model_rows(result.models),
        "configs": [(key, list(map(_format_entry, values))) for key, values in result.configs],
        "details": [evaluation_report.describe_scoring(model) for model in result.models],
    }  # fmt: skip
    render.write_page(page, "comparison.html.j2", charts, facts)
    if pngs:
        render.write_pngs(charts, page.parent)
    return page


def _sentence(each: Difference) -> dict[str, str]:
    question = f"{each.first} or {each.second}?"
    gap = f"{100 * each.difference:+.2f} points"
    if each.low is None or each.high is None:
        text = f"Cannot be decided: {gap}, without an interval: {each.why_no_interval}."
        return {"tone": "open", "question": question, "text": text}
    probability = format_probability(each)
    tone = "open" if each.low <= 0 <= each.high else "good"
    verdict = each.verdict[0].upper() + each.verdict[1:]
    text = (
        f"{verdict}. The first minus the second: {gap}, 95 % interval {format_bounds(each)}, over "
        f"{each.speakers} speakers. The first is better with a probability of {probability}."
    )
    return {"tone": tone, "question": question, "text": text}


def _difference_chart(differences: Sequence[Difference]) -> Chart:
    rows = [
        IntervalRow(
            f"{each.first} - {each.second}",
            100 * each.difference,
            None if each.low is None else 100 * each.low,
            None if each.high is None else 100 * each.high,
        )
        for each in differences
    ]
    return Chart(
        "differences",
        "Differences on the same pairs",
        "EER of the first minus that of the second, with 95 % intervals over the draw of speakers. "
        "Left of 0 the first is better; an interval that holds 0 decides nothing.",
        partial(verification.draw_intervals, rows=rows, label="difference in points", zero=True),
    )


def _curve_charts(contestants: Sequence[Contestant]) -> list[Chart]:
    """Return the learning curves of trials, and best so far of whole searches."""
    charts = []
    searches = []
    for each in contestants:
        if each.is_search and each.state is not None:
            found, epochs = find_improvements(each.state.trials.values())
            x = [float(result.epochs) for result in found] + [float(epochs)]
            y = [result.eer for result in found]
            searches.append((each.name, x, [*y, y[-1]] if y else []))
    if len(searches) > 1:
        charts.append(
            Chart(
                "best-so-far",
                "Best so far",
                "The lowest dev EER of any trial against the epochs of all: which search gained "
                "more for as much training.",
                partial(
                    verification.draw_overlaid_curves,
                    curves=searches, label="epochs trained, all trials together", steps=True,
                ),
            )
        )  # fmt: skip
    curves = [
        (each.name, *_curve_of(each)) for each in contestants if each.trial and each.trial.reports
    ]
    if len(curves) > 1:
        charts.append(
            Chart(
                "curves",
                "Learning curves",
                "The dev EER of each trial by epoch.",
                partial(
                    verification.draw_overlaid_curves, curves=curves, label="epoch", steps=False
                ),
            )
        )
    return charts


def _curve_of(contestant: Contestant) -> tuple[list[float], list[float]]:
    trial = contestant.trial
    assert trial is not None
    epochs = sorted(epoch for epoch in trial.reports if trial.at(epoch) <= 1)
    return [float(epoch) for epoch in epochs], [trial.at(epoch) for epoch in epochs]
