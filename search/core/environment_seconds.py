"""Read a number of seconds from the environment."""

import os

from search.core.errors import UsageError

_MOST = 86_400.0


def read_seconds(variable: str, default: float, least: float) -> float:
    """Return the seconds that an environment variable holds; the default if it is not set.

    Raises:
        UsageError: it is no number of seconds from `least` to a day.
    """
    text = os.environ.get(variable, "")
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = -1.0
    if not least <= seconds <= _MOST:
        raise UsageError(
            f"{variable} must be a number of seconds, {least:g} to {_MOST:g}, got {text!r}; "
            f"without it, it is {default:g}"
        )
    return seconds
