"""Show the progress of long work: redrawn on a terminal, as occasional lines elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from search.core.progress import Display
from search.reporting import console
from search.reporting.formatting import format_duration
from search.reporting.snapshot import Snapshot
from search.reporting.tables import describe_changes, format_snapshot_line, snapshot_table
from spkmodel.core.progress import Progress

Source = Callable[[], Snapshot]

_SNAPSHOT_SHARE = 0.05
"""Share of the time that taking snapshots may take."""


class SearchDisplay(Display, Protocol):
    """A display that can also follow a running search."""

    def watch(self, source: Source) -> AbstractContextManager[None]:
        """Show the search that `source` returns while the context lasts; called on a thread."""
        ...


def stderr_display() -> SearchDisplay:
    """Return the display that suits the current stderr."""
    err = console.stderr_console()
    return Terminal(err) if err.is_terminal else Lines()


class _Rate(ProgressColumn):
    """A column with the units a second since the task began."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{_rate(speed)} {task.fields['unit']}/s")


class Terminal:
    """A display on a terminal: bars and a table that are redrawn in place."""

    def __init__(self, err: Console) -> None:
        self._console = err

    def print_line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    @contextmanager
    def task(self, title: str, unit: str) -> Iterator[Progress]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._console, refresh_per_second=4) as bars:
            task = bars.add_task(title, total=None, unit=unit)
            yield lambda done, total: bars.update(task, completed=done, total=total)

    @contextmanager
    def watch(self, source: Source) -> Iterator[None]:
        latest = _Latest(source)
        with Live(
            get_renderable=lambda: snapshot_table(latest()),
            console=self._console,
            refresh_per_second=1,
        ):
            try:
                yield
            finally:
                latest.expire()


class Lines:
    """A display of plain lines: changes at once, a summary every `every_seconds`."""

    def __init__(self, every_seconds: float = 30.0, poll_seconds: float = 1.0) -> None:
        self._every = every_seconds
        self._poll = poll_seconds

    def print_line(self, text: str) -> None:
        console.print_note(text)

    @contextmanager
    def task(self, title: str, unit: str) -> Iterator[Progress]:
        reporter = _TaskLines(title, unit, min(self._every, 15.0))
        yield reporter
        reporter.close()

    @contextmanager
    def watch(self, source: Source) -> Iterator[None]:
        ended = threading.Event()
        latest = _Latest(source)
        thread = threading.Thread(target=self._follow, args=(latest, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=5)

    def _follow(self, latest: "_Latest", ended: threading.Event) -> None:
        before = latest()
        self.print_line(format_snapshot_line(before))
        if before.address:
            self.print_line(f"browse: {before.address}")
        printed = time.monotonic()
        while not ended.wait(self._poll):
            before, printed = self._print_changes(before, latest(), printed)
        latest.expire()
        for line in describe_changes(before, latest()):
            self.print_line(line)

    def _print_changes(
        self, before: Snapshot, now: Snapshot, printed: float
    ) -> tuple[Snapshot, float]:
        """Print what changed, and a summary if it is due; return the new `before` and `printed`."""
        for line in describe_changes(before, now):
            self.print_line(line)
        if time.monotonic() - printed < self._every:
            return now, printed
        self.print_line(format_snapshot_line(now))
        return now, time.monotonic()


class _Latest:
    """Caches the newest snapshot of a search.

    Taking one keeps the driver from its work, so large searches are asked less often. If the search
    changes while a snapshot is taken, the one before is kept.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._snapshot = source()
        self._not_before = 0.0

    def expire(self) -> None:
        """Take a new snapshot at the next call."""
        self._not_before = 0.0

    def __call__(self) -> Snapshot:
        began = time.monotonic()
        if began < self._not_before:
            return self._snapshot
        try:
            self._snapshot = self._source()
            ended = time.monotonic()
            self._not_before = ended + (ended - began) / _SNAPSHOT_SHARE
        except RuntimeError as error:
            # The driver's thread adds to the dicts that the source iterates over.
            if "changed size during iteration" not in str(error):
                raise
        return self._snapshot


class _TaskLines:
    """Prints the progress of a task every `every_seconds`, and a line when it has ended."""

    def __init__(self, title: str, unit: str, every_seconds: float) -> None:
        self._title, self._unit, self._every = title, unit, every_seconds
        self._start = self._printed = time.monotonic()
        self._done = 0
        self._before: int | None = None
        """Done at the first call: it may go on with what was interrupted."""
        self._begun = self._start

    def __call__(self, done: int, total: int) -> None:
        self._done = done
        now = time.monotonic()
        if self._before is None:
            self._before, self._begun = done, now
        if now - self._printed < self._every or done >= total:
            return
        self._printed = now
        took = now - self._begun
        speed = (done - self._before) / took if took > 0 else 0.0
        left = f", {format_duration((total - done) / speed)} left" if speed > 0 else ""
        console.print_note(f"{self._title}: {done} of {total} {self._unit}, {_rate(speed)}/s{left}")

    def close(self) -> None:
        seconds = time.monotonic() - self._start
        if self._done:
            console.print_note(
                f"{self._title}: {self._done} {self._unit} in {format_duration(seconds)}"
            )


def _rate(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.2g}"
