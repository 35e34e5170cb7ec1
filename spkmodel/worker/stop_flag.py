"""Telling a training, from any machine, to leave: a file in its folder, named by the attempt.

Whoever trains looks for it on a thread of its own, so that a storage that does not answer holds up
no step.
"""

import contextlib
import threading
from pathlib import Path
from types import TracebackType

POLL_SECONDS = 1.0
"""From one look to the next."""


def request_stop(folder: Path, attempt: int) -> None:
    """Have the attempt at the training in `folder` leave its epoch between two steps.

    Raises:
        OSError: the storage is in the way.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _path_for(folder, attempt).touch()


def clear_request(folder: Path, attempt: int) -> None:
    """Take the word back, or away once it was heard; a storage in the way keeps it, harmlessly."""
    with contextlib.suppress(OSError):
        _path_for(folder, attempt).unlink()


class StopFlag:
    """Whether the word has come, as far as is known; looks while the `with` block lasts."""

    def __init__(self, folder: Path, attempt: int) -> None:
        self._place = _path_for(folder, attempt)
        self._has_come = threading.Event()
        self._is_over = threading.Event()

    def __call__(self) -> bool:
        """Costs nothing: the storage is not asked."""
        return self._has_come.is_set()

    def __enter__(self) -> "StopFlag":
        threading.Thread(target=self._poll, name="told", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not joined: a look may take as long as a storage pleases.
        self._is_over.set()

    def _poll(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(OSError):
                # Over a network, a file that another machine made is seen late by its name; opening
                # the folder asks again.
                if self._place in self._place.parent.iterdir():
                    self._has_come.set()
                    return
            self._is_over.wait(POLL_SECONDS)


def _path_for(folder: Path, attempt: int) -> Path:
    return folder / f"leave-{attempt:04d}"
