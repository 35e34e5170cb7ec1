"""Chromium without a window: the document of a page as its scripts have made it."""

import shutil
import subprocess
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "chrome"])), None)


def dump_page(address: str, folder: Path, wait_ms: int, size: str = "2600,1000") -> str:
    """Return the page after so many milliseconds of the browser's time, which waits for answers.

    Args:
        address: of the page.
        folder: for the browser's own files; a new one for each call.
        wait_ms: at most.
        size: of the window, width and height in pixels.
    """
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--window-size={size}",
            f"--user-data-dir={folder}",
            f"--virtual-time-budget={wait_ms}",
            "--dump-dom",
            address,
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout
