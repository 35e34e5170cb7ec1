"""How long work shows itself: redrawn on a terminal, a plain line now and then elsewhere."""

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
from search.reporting.snapshot import Snapshot
from search.reporting.tables import (
    describe_changes,
    format_duration,
    format_snapshot_line,
    snapshot_table,
)
from spkmodel.core.progress import Progress

Source = Callable[[], Snapshot]

_LOOKING = 0.05
"""Share of the time that taking snapshots may take."""


class SearchDisplay(Display, Protocol):
    """A display that can also follow a running search."""

    def watch(self, source: Source) -> AbstractContextManager[None]:
        """Show the search that `source` returns while the context lasts; called on a thread."""
        ...


def stderr_display() -> SearchDisplay:
    """The display that suits stderr as it is now."""
    err = console.stderr_console()
    return Terminal(err) if err.is_terminal else Lines()


class _Rate(ProgressColumn):
    """Units a second, since the task began."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{_rate(speed)} {task.fields['unit']}/s")


class Terminal:
    """Bars and a table that are redrawn in place."""

    def __init__(self, err: Console) -> None:
        self._console = err

    def print_line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    @contextmanager
    def task(self, what: str, unit: str) -> Iterator[Progress]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._console, refresh_per_second=4) as bars:
            task = bars.add_task(what, total=None, unit=unit)
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
    """Plain lines: what changed at once, and where things stand every `every_seconds`."""

    def __init__(self, every_seconds: float = 30.0, look_seconds: float = 1.0) -> None:
        self._every = every_seconds
        self._look = look_seconds

    def print_line(self, text: str) -> None:
        console.print_note(text)

    @contextmanager
    def task(self, what: str, unit: str) -> Iterator[Progress]:
        reporter = _TaskLines(what, unit, min(self._every, 15.0))
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
        spoken = time.monotonic()
        while not ended.wait(self._look):
            before, spoken = self._tell(before, latest(), spoken)
        latest.expire()
        for line in describe_changes(before, latest()):
            self.print_line(line)

    def _tell(self, before: Snapshot, now: Snapshot, spoken: float) -> tuple[Snapshot, float]:
        for line in describe_changes(before, now):
            self.print_line(line)
        if time.monotonic() - spoken < self._every:
            return now, spoken
        self.print_line(format_snapshot_line(now))
        return now, time.monotonic()


class _Latest:
    """The newest snapshot; the one before if the search changed while it was being taken.

    Taking one keeps the driver from its work: of a search of thousands, one is taken less often.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._snapshot = source()
        self._not_before = 0.0

    def expire(self) -> None:
        """The next one is to be of its moment."""
        self._not_before = 0.0

    def __call__(self) -> Snapshot:
        began = time.monotonic()
        if began < self._not_before:
            return self._snapshot
        try:
            self._snapshot = self._source()
            ended = time.monotonic()
            self._not_before = ended + (ended - began) / _LOOKING
        except RuntimeError as error:
            # The driver's thread adds to the dicts that the source walks over.
            if "changed size during iteration" not in str(error):
                raise
        return self._snapshot


class _TaskLines:
    """A progress that prints a line every `every_seconds`, and one at the end of slow work."""

    def __init__(self, what: str, unit: str, every_seconds: float) -> None:
        self._what, self._unit, self._every = what, unit, every_seconds
        self._start = self._spoken = time.monotonic()
        self._done = 0

    def __call__(self, done: int, total: int) -> None:
        self._done = done
        now = time.monotonic()
        if now - self._spoken < self._every or done >= total:
            return
        self._spoken = now
        speed = done / (now - self._start)
        left = f", {format_duration((total - done) / speed)} left" if speed > 0 else ""
        console.print_note(f"{self._what}: {done} of {total} {self._unit}, {_rate(speed)}/s{left}")

    def close(self) -> None:
        seconds = time.monotonic() - self._start
        if self._done:
            console.print_note(
                f"{self._what}: {self._done} {self._unit} in {format_duration(seconds)}"
            )


def _rate(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.2g}"
