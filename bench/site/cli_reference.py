"""Generate the reference of the command line from the Typer program."""

from collections.abc import Iterator
from typing import Any

import click


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command that can be called, by its full name after `spksearch`."""
    from typer.main import get_command

    from search.cli.app import app

    yield from _below("", get_command(app))


def _below(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        full = f"{prefix} {name}".strip()
        if getattr(command, "commands", None):
            if getattr(command, "invoke_without_command", False):
                yield full, command
            yield from _below(full, command)
        else:
            yield full, command


def cli_page() -> str:
    """Write every command with its help, as the terminal shows it."""
    lines = ["# Command line", "", "Generated from the program: this is what `--help` prints.", ""]
    for name, command in commands():
        lines += [f"## spksearch {name}", "", "```text", help_text(name, command), "```", ""]
    return "\n".join(lines)


def help_text(name: str, command: Any) -> str:
    """Format a command's help at 100 columns."""
    context = click.Context(
        command, info_name=f"spksearch {name}", terminal_width=100, max_content_width=100
    )
    return str(command.get_help(context)).rstrip()


def exit_codes_page() -> str:
    """Write what every exit code means, as `spksearch --help` says it."""
    from search.cli.app import EXIT_CODES

    codes, _, environment = EXIT_CODES.partition("\n\n")
    rows = [part.strip() for part in codes.removeprefix("Exit codes:").rstrip(".").split(";")]
    lines = ["# Exit codes", "", "Generated from `spksearch --help`.", ""]
    lines += ["| code | meaning |", "| --- | --- |"]
    for row in rows:
        code, meaning = _split_code(" ".join(row.split()))
        lines.append(f"| {code} | {meaning} |")
    lines += ["", "## Environment", "", " ".join(environment.split()).removeprefix("Environment: ")]
    return "\n".join([*lines, ""])


def _split_code(row: str) -> tuple[str, str]:
    words = row.split(" ")
    count = sum(1 for word in words if word.rstrip(",").isdigit())
    return " ".join(words[:count]), " ".join(words[count:])
