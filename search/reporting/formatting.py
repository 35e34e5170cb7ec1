"""Format numbers for people. Rates become percent here, and only here."""

from collections.abc import Mapping, Sequence
from typing import Any


def format_percent(rate: float | None) -> str:
    """Return a rate as percent: 0.031 is `3.10 %`, None is `-`."""
    return "-" if rate is None else f"{rate * 100:.2f} %"


def format_interval(low: float | None, high: float | None, speakers: int | None = None) -> str:
    """Return an interval of a rate in percent: `2.5-3.8`, or `2.5-3.8, 40 speakers`.

    It is empty where a bound is missing.
    """
    if low is None or high is None:
        return ""
    return f"{low * 100:.1f}-{high * 100:.1f}" + (f", {speakers} speakers" if speakers else "")


def format_duration(seconds: float) -> str:
    """Return seconds, minutes, hours or days, in at most two units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} days"


def format_value(value: Any) -> str:
    """Return the value of a parameter, a float with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def format_axes(axes: Mapping[str, Any]) -> str:
    """Return parameters and their values on one line."""
    return " ".join(f"{name}={format_value(value)}" for name, value in axes.items())


_BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


def format_sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return values as bars on one line, the lowest lowest; of many, every n-th and the last."""
    if not values:
        return ""
    step = max(1, -(-len(values) // width))
    shown = [*values[::step], *([] if (len(values) - 1) % step == 0 else values[-1:])]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in shown)
