"""Request a training to stop, from any machine, by a file in its folder named by the attempt.

The training polls for it on a thread of its own, so that storage that does not answer delays no
step.
"""

import contextlib
import threading
from pathlib import Path
from types import TracebackType

POLL_SECONDS = 1.0
"""From one poll to the next."""


def request_stop(folder: Path, attempt: int) -> None:
    """Request the attempt in `folder` to interrupt its epoch between two steps.

    Raises:
        OSError: the storage fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _path_for(folder, attempt).touch()


def clear_request(folder: Path, attempt: int) -> None:
    """Remove the request; if the storage fails, it stays, which is harmless."""
    with contextlib.suppress(OSError):
        _path_for(folder, attempt).unlink()


class StopFlag:
    """Whether a stop was requested, as far as is known; polls while the `with` block lasts."""

    def __init__(self, folder: Path, attempt: int) -> None:
        self._place = _path_for(folder, attempt)
        self._has_come = threading.Event()
        self._is_over = threading.Event()

    def __call__(self) -> bool:
        """Return whether a stop was requested; it does not access the storage."""
        return self._has_come.is_set()

    def __enter__(self) -> "StopFlag":
        threading.Thread(target=self._poll, name="stop-flag", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not joined: a poll takes as long as the storage does.
        self._is_over.set()

    def _poll(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(OSError):
                # On network storage, a file that another machine made is found late by its name,
                # since the client caches the answer; listing the folder asks the server again.
                if self._place in self._place.parent.iterdir():
                    self._has_come.set()
                    return
            self._is_over.wait(POLL_SECONDS)


def _path_for(folder: Path, attempt: int) -> Path:
    return folder / f"leave-{attempt:04d}"
