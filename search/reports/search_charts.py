"""The figures of a search's report, as far as there is something to draw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from search.ledger.kinds import SIZE
from search.ledger.queue import DEFAULT_ORIGIN
from search.reports.facts.attempts import Timeline
from search.reports.facts.best_so_far import Result, find_improvements
from search.reports.facts.fates import select_shown
from search.reports.facts.importance import ImportanceAnalysis
from search.reports.facts.seeds import SeedSpread
from search.reports.figures import front, parameters, progress
from search.reports.figures.canvas import Chart, Size
from search.reports.figures.parameters import collect_parameters, shorten
from search.reports.figures.progress import DrawnTrial
from search.scheduler import pareto

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_DRAWN = 400
"""Trials that a figure shows; of more, the best and every n-th of the others."""
_MOST_ATTEMPTS = 1500


@dataclass(frozen=True)
class SearchFigures:
    """What the figures of a search show."""

    trials: tuple[DrawnTrial, ...]
    rungs: tuple[int, ...]
    timeline: Timeline
    importance: ImportanceAnalysis
    seeds: Sequence[SeedSpread]
    objectives: tuple[str, ...]

    def thinned(self, most: int) -> list[DrawnTrial]:
        """Return at most so many trials."""
        kept = {t.trial for t in select_shown([each.record for each in self.trials], most)}
        return [trial for trial in self.trials if trial.record.trial in kept]

    @property
    def with_result(self) -> list[DrawnTrial]:
        """The trials that have a dev EER, best first."""
        usable = [(t.record.best(), t) for t in self.trials]
        found = [(best.objective, t.number, t) for best, t in usable if best is not None]
        return [trial for _, _, trial in sorted(found, key=lambda each: each[:2])]


def list_charts(shown: SearchFigures) -> list[Chart]:
    """Return the figures of a search, in the order of the page."""
    ranked = shown.with_result
    charts = _progress_charts(shown, ranked) if ranked else []
    if shown.timeline.attempts and len(shown.timeline.attempts) <= _MOST_ATTEMPTS:
        charts.append(_timeline_chart(shown))
    if ranked:
        charts += _parameter_charts(shown, ranked)
    if SIZE in shown.objectives:
        charts += _front_chart(shown)
    if shown.seeds:
        charts.append(_seed_chart(shown.seeds))
    return charts


def _progress_charts(shown: SearchFigures, ranked: Sequence[DrawnTrial]) -> list[Chart]:
    improvements, epochs = find_improvements(trial.record for trial in shown.trials)
    default = _default_result(shown.trials)
    thinned = shown.thinned(_MOST_DRAWN)
    best = ranked[0].record.trial
    charts = [
        Chart(
            "best-so-far",
            "Best so far",
            "The lowest dev EER that any trial had reached, against the epochs spent on all. "
            "Band: its 95 % interval."
            + ("" if default is None else " Dashed: the default config."),
            partial(
                progress.draw_best_so_far, improvements=improvements, epochs=epochs, default=default
            ),
        )
    ]
    if len(shown.rungs) > 1:
        charts.append(
            Chart(
                "rungs",
                "Rungs",
                "Every trial at every rung that it reached, with the number of trials below. Blue "
                "went on to the next rung or ended at the last, grey did not.",
                partial(progress.draw_rungs, trials=thinned, rungs=shown.rungs),
            )
        )
    curves = shown.thinned(progress.MOST_CURVES)
    some = "" if len(curves) == len(shown.trials) else f" {len(curves)} of them are drawn."
    charts.append(
        Chart(
            "curves",
            "Learning curves",
            f"The dev EER by epoch, each trial in the colour of its fate; thick: {best}, the best. "
            f"Upright lines are rungs.{some}",
            partial(progress.draw_curves, trials=curves, rungs=shown.rungs, best=best),
        )
    )
    return charts


def _default_result(trials: Sequence[DrawnTrial]) -> Result | None:
    found = next((t.record for t in trials if t.record.origin == DEFAULT_ORIGIN), None)
    best = found.best() if found is not None else None
    return None if found is None or best is None else Result.from_report(found.trial, best)


def _timeline_chart(shown: SearchFigures) -> Chart:
    numbers = {trial.record.trial: trial for trial in shown.trials}
    return Chart(
        "timeline",
        "Trials on slots",
        "Each bar is an attempt, in the colour of its trial's fate; a cross marks one that was cut "
        "short. The ledger records when, not where: slots are filled from the first one on.",
        partial(progress.draw_timeline, timeline=shown.timeline, numbers=numbers),
    )


def _parameter_charts(shown: SearchFigures, ranked: Sequence[DrawnTrial]) -> list[Chart]:
    found = shown.importance
    order = [row.parameter for row in found.rows]
    drawn = collect_parameters(ranked, order)
    charts = []
    if found.rows:
        rows = found.rows[: 2 * parameters.MOST_AXES]
        charts.append(
            Chart(
                "importance",
                "Importance",
                f"How much each parameter sets the best {found.best} of {found.trials} trials "
                "apart from all (PED-ANOVA). Lines: 95 % intervals, from trials drawn again. An "
                "interval that begins near 0 may be chance.",
                partial(parameters.draw_importance, rows=rows, trials=found.trials),
            )
        )
    if len(ranked) > 1 and drawn:
        best = max(1, found.best or len(ranked) // 5)
        thinned = _thin(ranked)
        charts.append(
            Chart(
                "parallel",
                "Parameters together",
                f"One line a trial, over its parameters to its dev EER; blue: the best {best}, "
                "thick: the best. A line passes by a parameter that its trial does not have.",
                partial(
                    parameters.draw_parallel,
                    trials=thinned,
                    parameters=drawn[: parameters.MOST_AXES],
                    best=best,
                ),
            )
        )
    if drawn:
        charts.append(
            Chart(
                "slices",
                "Parameters one by one",
                "The best dev EER of every trial against each of its parameters, in the colour of "
                "its fate. A trial that was stopped early had fewer epochs.",
                _slices(_thin(ranked), drawn),
            )
        )
    return charts


def _slices(
    trials: Sequence[DrawnTrial], drawn: Sequence[parameters.DrawnParameter]
) -> "Callable[[Size], Figure]":
    def draw(size: Size) -> "Figure":
        most = 6 if size.is_narrow else parameters.MOST_SLICES
        return parameters.draw_slices(size, trials, drawn[:most])

    return draw


def _thin(ranked: Sequence[DrawnTrial]) -> list[DrawnTrial]:
    kept = {t.trial for t in select_shown([each.record for each in ranked], _MOST_DRAWN)}
    return [trial for trial in ranked if trial.record.trial in kept]


def _front_chart(shown: SearchFigures) -> list[Chart]:
    sized = {t.record.trial: t for t in shown.with_result if t.record.encoder_parameters}
    points = {
        name: (best.objective, float(trial.record.encoder_parameters or 0))
        for name, trial in sized.items()
        if (best := trial.record.best()) is not None
    }
    names = pareto.find_front(points)[::-1]
    if not names:
        return []
    others = [trial for name, trial in sized.items() if name not in set(names)]
    return [
        Chart(
            "front",
            "Dev EER against size",
            f"{len(names)} of {len(points)} trials are on the front: no other is both smaller and "
            "better.",
            partial(front.draw_front, front=[sized[n] for n in names], others=others[:_MOST_DRAWN]),
        )
    ]


def _seed_chart(seeds: Sequence[SeedSpread]) -> Chart:
    rows = [
        (shorten(f"{each.trials[0]} and {len(each.trials) - 1} more", 24), each.eers)
        for each in seeds[:12]
    ]
    widest = max(each.deviation for each in seeds)
    return Chart(
        "seeds",
        "Spread over seeds",
        "Configs that were trained with several seeds, each after as many epochs as all of its "
        f"trials have. The largest standard deviation is {100 * widest:.2f} points: a difference "
        "between two trials of that size may be the seed's.",
        partial(progress.draw_seeds, rows=rows),
    )
