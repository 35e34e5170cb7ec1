"""Print results to stdout and everything else to stderr; colours on a terminal only."""

import json
import os
import sys
from typing import IO, Any

from rich.console import Console, RenderableType

# Without a terminal nothing is folded: a log, a pipe and grep want whole lines.
_UNFOLDED = 400


def stdout_console() -> Console:
    """Return a console on the current stdout, which tests replace."""
    return _console(sys.stdout)


def stderr_console() -> Console:
    """Return a console on the current stderr."""
    return _console(sys.stderr)


def _console(stream: IO[str]) -> Console:
    terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    return Console(
        file=stream,
        width=None if terminal else _UNFOLDED,
        highlight=False,
        emoji=False,
        markup=False,
        force_terminal=terminal,
        no_color=True if os.environ.get("NO_COLOR") else None,
    )


def print_result(*parts: RenderableType) -> None:
    """Print what the user asked for, on stdout."""
    console = stdout_console()
    for part in parts:
        if isinstance(part, str):
            console.print(_printable(part), soft_wrap=True)
        elif console.is_terminal:
            console.print(part)
        else:
            console.print(_without_padding(console, part), soft_wrap=True)


def _without_padding(console: Console, part: RenderableType) -> str:
    """Return the text of a table without the spaces that fill its last column."""
    with console.capture() as captured:
        console.print(part)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def print_raw(text: str) -> None:
    """Print text of another program unchanged on stdout, without its control characters."""
    sys.stdout.write(_printable(text))
    sys.stdout.flush()


def print_note(text: str) -> None:
    """Print a line that accompanies a result, on stderr."""
    stderr_console().print(_printable(text), soft_wrap=True)


def _printable(text: str) -> str:
    """Return the text without what a terminal would act on: names of files may hold anything."""
    return "".join(each for each in text if each.isprintable() or each in "\n\t")


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document on stdout.

    Raises:
        ValueError: it holds a number that is not finite, which JSON lacks.
    """
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def mark_verbatim(text: str) -> str:
    """Return text with the mark that keeps its line ends in help, which folds other paragraphs."""
    return "\n\n".join(f"\b\n{paragraph}" for paragraph in text.split("\n\n"))


def help_text(summary: str, *examples: str, more: str = "") -> str:
    """Return the help of a verb: what it does, examples to copy, further facts."""
    paragraphs = [summary, mark_verbatim("\n".join(f"  {example}" for example in examples))]
    return "\n\n".join([*paragraphs, more] if more else paragraphs)
