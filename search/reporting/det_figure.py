"""Draw a verifier's DET curve on probit axes, and the histogram of its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from search.reporting.figure_style import COLOURS, FAINT, GRID, INK, create_canvas, save_png
from search.reporting.formatting import format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BASELINE_DASHES = ((0, (1, 1.4)), (0, (5, 2)), (0, (5, 2, 1, 2)))
TICKS = np.array([0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8])
_OPERATING_POINTS = ((0.01, "D"), (0.05, "s"))
_DCF_COLUMNS = (0.755, 0.895)
_ROW, _FOOT = 0.235, 0.16
"""Height of a row of the table, and of the white below it, in inches."""


@dataclass(frozen=True)
class Baseline:
    """Scores of a system without a network on the same pairs; drawn thin."""

    name: str
    eer: float
    scores: np.ndarray
    """Of the same pairs in the same order."""


@dataclass(frozen=True)
class Curve:
    """One condition's scores with the figures that are marked on it. Rates are fractions."""

    name: str
    scores: np.ndarray
    targets: np.ndarray
    eer: float
    low: float | None
    high: float | None
    """The 95 % interval of `eer`."""
    threshold: float
    """The score at the EER."""
    baselines: tuple[Baseline, ...] = ()
    dev_threshold: float | None = None
    """The threshold that was chosen on dev pairs; None: none was."""


def draw_det(path: Path, curves: Sequence[Curve], title: str, subtitle: str) -> None:
    """Write the detection error trade-off of every curve to a PNG, 1000 px wide.

    On probit axes (Martin et al. 1997) Gaussian scores lie on a straight line. The shaded box is
    the EER's 95 % interval on both axes; diamond and square are the minDCF points. The figures
    stand in a table below.
    """
    lines = [line for curve, colour in zip(curves, COLOURS, strict=False)
             for line in _lines_of_curve(curve, colour)]  # fmt: skip
    table = _ROW * (len(lines) + 1) + 0.2
    figure, (axis,) = create_canvas(title, subtitle, rows=1, height=8.5 + table, below=table)
    low, high = _limits(curves, lines)
    for line in lines:
        _draw_line(axis, line, low, high)
    _square_axes(axis, low, high)
    _write_table(figure, lines)
    save_png(figure, path)


def draw_histogram(path: Path, curves: Sequence[Curve], title: str, subtitle: str) -> None:
    """Write the scores of target and non-target pairs to a PNG, one panel a curve, 1000 px wide."""
    figure, axes = create_canvas(title, subtitle, rows=len(curves), height=1.75 + 3.1 * len(curves))
    edges = np.histogram_bin_edges(np.concatenate([curve.scores for curve in curves]), bins=70)
    for axis, curve, colour in zip(axes, curves, COLOURS, strict=False):
        _draw_panel(axis, curve, colour, edges)
    axes[-1].set_xlabel("score (higher is more alike)", color=INK, fontsize=11.5)
    save_png(figure, path)


def det_points(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return miss and false-alarm rates at every threshold, both ends included."""
    from spkmodel.verification import metrics

    curve = metrics.det_curve(scores, targets)
    return np.asarray(curve.miss), np.asarray(curve.false_alarm)


@dataclass(frozen=True)
class _DetLine:
    """One line of the plot and one row of its table."""

    name: str
    colour: str
    eer: float
    interval: tuple[float, float] | None
    """None for a baseline, and where the speakers are too few."""
    is_marked: bool
    """Whether its EER and minDCF points are drawn; not those of a baseline."""
    miss: np.ndarray
    false_alarm: np.ndarray
    style: dict[str, Any]

    def find_lowest_cost(self, p_target: float) -> tuple[int, float]:
        """Return the index of the lowest detection cost, and the normalised cost there."""
        cost = p_target * self.miss + (1 - p_target) * self.false_alarm
        index = int(np.argmin(cost))
        return index, float(cost[index]) / min(p_target, 1 - p_target)


def _lines_of_curve(curve: Curve, colour: str) -> list[_DetLine]:
    miss, false_alarm = det_points(curve.scores, curve.targets)
    thick = {"linewidth": 2.2, "zorder": 4}
    lines = [
        _DetLine(curve.name, colour, curve.eer, _bounds(curve), True, miss, false_alarm, thick)
    ]
    for baseline, dashes in zip(curve.baselines, _BASELINE_DASHES, strict=False):
        miss, false_alarm = det_points(baseline.scores, curve.targets)
        thin = {"linewidth": 1.2, "alpha": 0.7, "linestyle": dashes, "zorder": 3}
        lines.append(
            _DetLine(baseline.name, colour, baseline.eer, None, False, miss, false_alarm, thin)
        )
    return lines


def _draw_line(axis: "Axes", line: _DetLine, low: float, high: float) -> None:
    across, up = probit(line.false_alarm, low), probit(line.miss, low)
    axis.plot(across, up, color=line.colour, **line.style)
    if not line.is_marked:
        return
    if line.interval is not None:
        left, right = probit(np.array(line.interval), low)
        axis.fill_between(
            [left, right], left, right, color=line.colour, alpha=0.14, linewidth=0, zorder=2
        )
    centre = probit(np.array([line.eer]), low)
    axis.plot(
        centre, centre, "o", color=line.colour, markersize=9.5, markeredgecolor="white", zorder=6
    )
    frame = probit(np.array([low, high]), low)
    for p_target, marker in _OPERATING_POINTS:
        index, _ = line.find_lowest_cost(p_target)
        # A point without false alarms lies at minus infinity; it is shown on the frame.
        left, level = max(across[index], frame[0]), min(up[index], frame[1])
        axis.plot(left, level, marker, zorder=5, clip_on=False, **_hollow(line.colour))


def _hollow(colour: str) -> dict[str, Any]:
    return {
        "color": "white", "markeredgecolor": colour, "markeredgewidth": 1.8, "markersize": 7.5,
    }  # fmt: skip


def _write_table(figure: "Figure", lines: Sequence[_DetLine]) -> None:
    """A legend with figures: one row a line, the marks explained in the heading."""
    from matplotlib.lines import Line2D

    height = figure.get_figheight()

    def mark(left: float, right: float, row: float, **style: Any) -> None:
        level = (_ROW * row + 0.045 + _FOOT) / height
        figure.add_artist(Line2D([left, right], [level, level], **style))

    def write(x: float, row: float, text: str, **style: Any) -> None:
        figure.text(x, (_ROW * row + _FOOT) / height, text, fontsize=10.5, **style)

    top = len(lines)
    mark(0.44, 0.44, top, marker="o", color=FAINT, markersize=7)
    write(0.455, top, "EER", color=FAINT)
    write(0.56, top, "95 % interval", color=FAINT)
    for (p_target, marker), x in zip(_OPERATING_POINTS, _DCF_COLUMNS, strict=True):
        mark(x - 0.015, x - 0.015, top, marker=marker, **_hollow(FAINT))
        write(x, top, f"minDCF {p_target:g}".replace("0.", "."), color=FAINT)
    for row, line in zip(range(top - 1, -1, -1), lines, strict=True):
        mark(0.095, 0.145, row, color=line.colour, **{**line.style, "zorder": 4})
        weight = {"color": INK, "fontweight": "bold" if line.is_marked else "normal"}
        write(0.16, row, line.name, **weight)
        write(0.455, row, format_percent(line.eer), **weight)
        if line.is_marked:
            write(0.56, row, _format_interval(line.interval), **weight)
        for (p_target, _), x in zip(_OPERATING_POINTS, _DCF_COLUMNS, strict=True):
            write(x, row, f"{line.find_lowest_cost(p_target)[1]:.3f}", **weight)


def _draw_panel(axis: "Axes", curve: Curve, colour: str, edges: np.ndarray) -> None:
    for chosen, fill, name in (
        (~curve.targets, "#8a93a3", "non-target"),
        (curve.targets, colour, "target"),
    ):
        shares = np.histogram(curve.scores[chosen], edges)[0] * (100 / max(1, chosen.sum()))
        axis.stairs(shares, edges, fill=True, color=fill, alpha=0.38, linewidth=0)
        axis.stairs(shares, edges, color=fill, linewidth=1.6, label=name)
    axis.set_title(
        f"{curve.name}: EER {format_percent(curve.eer)}  "
        f"({_format_interval(_bounds(curve))})",
        loc="left", fontsize=12, color=colour, fontweight="bold",
    )  # fmt: skip
    axis.set_ylabel("share of pairs in %", color=INK, fontsize=11)
    axis.margins(x=0.01)
    _mark_thresholds(axis, curve)
    axis.set_ylim(0, 1.36 * axis.get_ylim()[1])
    axis.grid(color=GRID, linewidth=0.8)
    axis.legend(
        loc="lower right", bbox_to_anchor=(1.01, 0.985), ncols=3, fontsize=10, frameon=False,
        handlelength=1.6, columnspacing=1.4, labelcolor=INK,
    )  # fmt: skip


def _mark_thresholds(axis: "Axes", curve: Curve) -> None:
    """Mark the threshold of the dev pairs, which a user applies, before that of these pairs."""
    own = ("EER of these pairs", curve.threshold)
    marks = [own] if curve.dev_threshold is None else [("dev pairs", curve.dev_threshold), own]
    left, right = axis.get_xlim()
    for place, (name, threshold) in enumerate(marks):
        is_right = threshold > (left + right) / 2
        is_first = place == 0 and len(marks) > 1
        axis.axvline(threshold, color=INK, linewidth=1.5 if is_first else 1.2,
                     linestyle="-" if is_first else (0, (4, 2)))  # fmt: skip
        axis.annotate(
            f"threshold, {name}: {threshold:.4f}",
            (threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-7 if is_right else 7, -30 - 15 * place),
            textcoords="offset points",
            ha="right" if is_right else "left",
            fontsize=10,
            color=INK,
        )


def _bounds(curve: Curve) -> tuple[float, float] | None:
    return None if curve.low is None or curve.high is None else (curve.low, curve.high)


def _format_interval(bounds: tuple[float, float] | None) -> str:
    return f"{100 * bounds[0]:.2f} to {100 * bounds[1]:.2f} %" if bounds else "too few speakers"


def _square_axes(axis: "Axes", low: float, high: float) -> None:
    ticks = TICKS[(low <= TICKS) & (high >= TICKS)]
    places = probit(ticks, low)
    labels = [f"{100 * tick:g}" for tick in ticks]
    ends = tuple(probit(np.array([low, high]), low))
    axis.plot(ends, ends, color=FAINT, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
    axis.set_xticks(places, labels)
    axis.set_yticks(places, labels)
    axis.set_xlim(*ends)
    axis.set_ylim(*ends)
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_xlabel("false alarms: non-target pairs accepted, in %", color=INK, fontsize=11.5)
    axis.set_ylabel("misses: target pairs rejected, in %", color=INK, fontsize=11.5)


def _limits(curves: Sequence[Curve], lines: Sequence[_DetLine]) -> tuple[float, float]:
    """Return the rates at the ends of the axes: every EER inside, marked misses if possible."""
    # Rates below half a pair of n cannot be resolved, so the axes need not show them.
    resolved = max(TICKS[0], 0.5 / max(len(curve.targets) for curve in curves))
    networks = [line for line in lines if line.is_marked]
    marked = [
        (line, line.find_lowest_cost(p)[0]) for line in networks for p, _ in _OPERATING_POINTS
    ]
    misses = [1.05 * float(line.miss[index]) for line, index in marked]
    low = min(0.01, max(resolved, min(0.001, min(curve.eer for curve in curves) / 8)))
    high = max([0.2, *misses, *(1.3 * line.eer for line in lines)])
    below, above = TICKS[low >= TICKS], TICKS[min(high, TICKS[-1]) <= TICKS]
    return float(below[-1]), float(above[0])


def probit(rates: np.ndarray, low: float) -> np.ndarray:
    """Return normal quantiles of rates clipped inside (0, 1), so that curves leave the frame."""
    kept = np.clip(rates, low / 3, 1 - low / 3)
    distinct, places = np.unique(kept, return_inverse=True)
    quantile = NormalDist().inv_cdf
    return np.array([quantile(float(rate)) for rate in distinct])[places]
