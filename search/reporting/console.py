"""Where text goes: answers to stdout, everything else to stderr; colours on a terminal only."""

import json
import os
import sys
from typing import IO, Any

from rich.console import Console, RenderableType

# Without a terminal nothing is folded: a log, a pipe and grep want whole lines.
_UNFOLDED = 400


def stdout_console() -> Console:
    """A console on stdout as it is now (tests replace it)."""
    return _console(sys.stdout)


def stderr_console() -> Console:
    """A console on stderr as it is now."""
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
    """What was asked for, on stdout."""
    console = stdout_console()
    for part in parts:
        if isinstance(part, str):
            console.print(part, soft_wrap=True)
        elif console.is_terminal:
            console.print(part)
        else:
            console.print(_without_padding(console, part), soft_wrap=True)


def _without_padding(console: Console, part: RenderableType) -> str:
    """A table fills its last column with spaces, which nobody wants in a file."""
    with console.capture() as captured:
        console.print(part)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def print_raw(text: str) -> None:
    """Somebody else's words on stdout as they are, at once; without what would steer a terminal."""
    sys.stdout.write("".join(each for each in text if each.isprintable() or each in "\n\t"))
    sys.stdout.flush()


def print_note(text: str) -> None:
    """What accompanies an answer, on stderr."""
    stderr_console().print(text, soft_wrap=True)


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout, and nothing else.

    Raises:
        ValueError: if it holds a number that is not finite, which is not JSON.
    """
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def mark_verbatim(text: str) -> str:
    """Text whose lines the help keeps as they are: it folds every paragraph without this mark."""
    return "\n\n".join(f"\b\n{paragraph}" for paragraph in text.split("\n\n"))


def help_text(summary: str, *examples: str, more: str = "") -> str:
    """The help of a verb: what it does, examples to copy, then what else is worth knowing."""
    paragraphs = [summary, mark_verbatim("\n".join(f"  {example}" for example in examples))]
    return "\n\n".join([*paragraphs, more] if more else paragraphs)
