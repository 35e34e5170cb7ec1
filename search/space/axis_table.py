"""The axes of a space as a table."""

from collections.abc import Sequence

from rich.table import Table

from search.space.loader import Axis


def axis_table(axes: Sequence[Axis]) -> Table:
    """One axis a row; the column of log entries only where there are any."""
    with_entries = any(axis.entries for axis in axes)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("axis", no_wrap=True)
    for heading in ("range", "asked when", *(["log"] if with_entries else [])):
        table.add_column(heading, overflow="fold")
    for axis in axes:
        row = [axis.name, axis.range_text, axis.condition or "always"]
        table.add_row(*row, *([axis.entries] if with_entries else []))
    return table
