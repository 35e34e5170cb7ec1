"""Write the report of evaluated models: one HTML file, several models in the same figures."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from search.core.errors import UsageError
from search.evaluation.pair_list import format_counts
from search.reporting.formatting import format_percent
from search.reports.figures import verification
from search.reports.figures.canvas import MODEL_COLOURS, Chart
from search.reports.figures.verification import DetLine, IntervalRow, ScorePanel
from search.reports.page import render
from search.reports.page.head import page_head
from search.reports.scored_model import ScoredModel, read_folder
from spkmodel.verification.det_band import det_band

MOST_MODELS = len(MODEL_COLOURS)
"""Curves that can be told apart."""


def write_evaluation_report(folders: Sequence[Path], page: Path, *, pngs: bool = False) -> Path:
    """Write the report of what `evaluate` or `promote` has left in folders.

    Raises:
        UsageError: for a folder of something else, other pairs, or too many models.
        EnvironmentSetupError: if nothing can be written there.
    """
    models = [model for folder in folders for model in read_folder(folder)]
    return write_models(models, page, pngs=pngs)


def write_models(models: Sequence[ScoredModel], page: Path, *, pngs: bool = False) -> Path:
    """Write the report of scored models; see `write_evaluation_report`."""
    require_one_list(models)
    charts = list_charts(models)
    facts = {
        **page_head("Evaluation", models[0].name, format_counts(models[0].listed)),
        "contents": _contents(models),
        "models": model_rows(models),
        "subsets": [each for model in models for each in _subset_tables(model)],
        "speakers": [each for model in models for each in _speaker_tables(model)],
        "details": [describe_scoring(model) for model in models],
    }
    render.write_page(page, "evaluation.html.j2", charts, facts)
    if pngs:
        render.write_pngs(charts, page.parent)
    return page


def require_one_list(models: Sequence[ScoredModel]) -> None:
    """Require that all models were scored on the same pairs, and are not too many.

    Raises:
        UsageError: if they were not.
    """
    if len(models) > MOST_MODELS:
        raise UsageError(f"{len(models)} models; at most {MOST_MODELS} can be told apart")
    first = models[0]
    for other in models[1:]:
        if other.listed["sha256"] != first.listed["sha256"]:
            raise UsageError(
                f"{first.name} was scored on {first.listed['name']} and {other.name} on "
                f"{other.listed['name']}, which are other pairs; evaluate both on one list"
            )


def list_charts(models: Sequence[ScoredModel]) -> list[Chart]:
    """Return the figures of scored models."""
    lines = [_det_line(model) for model in models]
    has_band = any(line.band is not None for line in lines)
    band = (
        " Bands: 95 % intervals of the misses over the draw of speakers."
        if has_band
        else " No band: the speakers are too few, or not known here."
    )
    panels = [
        ScorePanel(model.name, model.scores, model.targets, _thresholds(model)) for model in models
    ]
    charts = [
        Chart(
            "det",
            "Detection error trade-off",
            "Misses against false alarms at every threshold, on probit axes. Dot: the EER; diamond "
            f"and square: minDCF at priors .01 and .05.{band}",
            partial(verification.draw_det, lines=lines),
        ),
        Chart(
            "scores",
            "Scores",
            "Target and non-target pairs. A threshold chosen on dev pairs is what a user of the "
            "model would apply; the one at the EER of these pairs is known only afterwards.",
            partial(verification.draw_histograms, panels=panels),
        ),
    ]
    rows = _subset_rows(models)
    if rows:
        charts.append(
            Chart(
                "subsets",
                "By group",
                "The EER of parts of the list, with 95 % intervals; the first row is the whole."
                + (" Colours are the models'." if len(models) > 1 else ""),
                partial(verification.draw_intervals, rows=rows, label="EER in %", zero=False),
            )
        )
    return charts


def _det_line(model: ScoredModel) -> DetLine:
    band = None
    if model.speakers is not None:
        band = det_band(model.scores, model.targets, *model.speakers)
    return DetLine(model.name, model.scores, model.targets, model.numbers["eer"], band)


def _thresholds(model: ScoredModel) -> tuple[tuple[str, float], ...]:
    own = ("EER of these pairs", model.numbers["threshold"])
    if model.dev_threshold is None:
        return (own,)
    return ("chosen on dev pairs", model.dev_threshold), own


def _subset_rows(models: Sequence[ScoredModel]) -> list[IntervalRow]:
    rows: list[IntervalRow] = []
    for place, model in enumerate(models):
        parts = [each for column in model.facts.get("by", []) for each in column["slices"]]
        usable = [each for each in parts if each["eer"] is not None]
        if not usable:
            continue
        whole = {**model.numbers, "name": "all pairs"}
        rows += [_interval_row(each, place) for each in [whole, *usable]]
    names = list(dict.fromkeys(row.name for row in rows))
    return sorted(rows, key=lambda row: (names.index(row.name), row.colour))


def _interval_row(figures: dict[str, Any], place: int) -> IntervalRow:
    def percent(key: str) -> float | None:
        return None if figures[key] is None else 100 * figures[key]

    bounds = percent("eer_low"), percent("eer_high")
    return IntervalRow(figures["name"], percent("eer"), *bounds, place)


# --- tables -----------------------------------------------------------------------------------


def model_rows(models: Sequence[ScoredModel]) -> list[dict[str, Any]]:
    """Return the rows of the table of models; a baseline that several share stands below the last.

    Models in one condition have the same baselines.
    """
    rows = [_model_row(model, place) for place, model in enumerate(models)]
    for place, row in enumerate(rows):
        later = [floor for other in rows[place + 1 :] for floor in other["floors"]]
        row["floors"] = [floor for floor in row["floors"] if floor not in later]
    return rows


def _model_row(model: ScoredModel, place: int) -> dict[str, Any]:
    numbers, calibration = model.numbers, model.facts.get("calibration")
    return {
        "place": place,
        "name": model.name,
        "eer": numbers["eer"],
        "low": numbers["eer_low"],
        "high": numbers["eer_high"],
        "speakers": numbers["speakers"],
        "why_no_interval": numbers["why_no_interval"],
        "min_dcf_p01": numbers["min_dcf_p01"],
        "min_dcf_p05": numbers["min_dcf_p05"],
        "cllr": calibration["cllr"] if calibration else None,
        "min_cllr": numbers["min_cllr"],
        "dev_threshold": model.dev_threshold,
        "threshold": numbers["threshold"],
        "floors": numbers["floors"],
        "verdict": _against_floors(numbers),
    }


def _against_floors(numbers: dict[str, Any]) -> dict[str, str]:
    """Say in a sentence whether the model is better than no network."""
    floors = [(floor["eer"], floor["name"]) for floor in numbers["floors"]]
    if not floors:
        return {"tone": "plain", "text": "No baseline without a network was computed."}
    eer, name = min(floors)
    text = f"{name} without a network: {format_percent(eer)}."
    if numbers["eer"] >= eer:
        return {"tone": "bad", "text": f"Not better than no network. {text}"}
    if numbers["eer_high"] is None or numbers["eer_high"] >= eer:
        return {"tone": "open", "text": f"Better than no network, but not surely. {text}"}
    return {"tone": "good", "text": f"Better than no network. {text}"}


def _subset_tables(model: ScoredModel) -> list[dict[str, Any]]:
    columns = model.facts.get("by", [])
    return [{"model": model.name, "column": c["column"], "rows": c["slices"]} for c in columns]


def _speaker_tables(model: ScoredModel) -> list[dict[str, Any]]:
    found = model.facts.get("worst_speakers")
    return [{"model": model.name, **found}] if found else []


def describe_scoring(model: ScoredModel) -> dict[str, Any]:
    """Return what somebody needs to score the same pairs with the same model."""
    facts, about = model.facts, model.facts["model"]
    looks = facts.get("looks", facts.get("test", {}).get("looks", 0) if facts.get("test") else 0)
    rows = [
        ("weights, SHA-256", about["sha256"]),
        ("encoder", f"{about['encoder']}, {about['parameters']:,} parameters"),
        ("condition", model.condition),
        ("list, SHA-256", model.listed["sha256"]),
        ("corpus, SHA-256", facts["corpus_sha256"]),
        ("scored by", facts["scoring"]),
        ("scored on", f"{facts['device']}, {facts['time']}"),
        ("earlier looks at these test pairs", str(looks)),
        *((f"version of {name}", number) for name, number in facts["versions"].items()),
    ]
    return {"model": model.name, "rows": rows, "notes": about.get("notes", [])}


def _contents(models: Sequence[ScoredModel]) -> list[tuple[str, str]]:
    parts = [("verdict", "Figures"), ("det", "DET curve"), ("scores", "Scores")]
    if any(model.facts.get("by") for model in models):
        parts.append(("groups", "Groups"))
    if any(model.facts.get("worst_speakers") for model in models):
        parts.append(("speakers", "Speakers"))
    return [*parts, ("again", "How it was scored")]
