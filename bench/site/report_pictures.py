"""Write the report of a simulated search, measure it, and take the pictures of the docs.

python -m bench.site.report_pictures [--trials 200] [--pictures docs/pictures]

The search is `bench.support.recorded_search`: its trainings are a formula, its space, sampler and
rule are real. Pictures need Chromium; without it only the figures are printed.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.support.recorded_search import Recipe, record_search
from search.reports import search_report

_BROWSERS = ("chromium", "chromium-browser", "chrome")
_COLOURS = 128
"""Of a picture: flat colours of a page need no more."""


@dataclass(frozen=True)
class Shot:
    """One picture: its file, the window, and whether it is dark."""

    name: str
    width: int
    height: int
    dark: bool = False


SHOTS = (Shot("report.png", 1180, 1500), Shot("report_phone.png", 390, 1500, dark=True))


def main() -> None:
    asked = _parsed()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["SPKSEARCH_HOME"] = folder
        record_search(Recipe(trials=asked.trials, suggests="tpe"), home)
        began = time.monotonic()
        page = search_report.write_report("recorded", home / "report")
        seconds = time.monotonic() - began
        size = page.stat().st_size
        print(f"{asked.trials} trials: {seconds:.1f} s, {size / 1e6:.2f} MB")
        browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
        if asked.pictures is None or browser is None:
            return
        for shot in SHOTS:
            take_picture(browser, page, shot, asked.pictures / shot.name)
            print(f"wrote {asked.pictures / shot.name}")


def take_picture(browser: str, page: Path, shot: Shot, path: Path) -> None:
    """Write the top of a page, as a window of this size shows it, to a PNG of few colours."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        # A window narrower than 500 px is not made: the page stands in a frame of its width.
        frame = Path(folder) / "frame.html"
        frame.write_text(
            f'<body style="margin:0"><iframe src="{page.as_uri()}" style="border:0;'
            f'width:{shot.width}px;height:{shot.height}px"></iframe>',
            encoding="utf-8",
        )
        taken = Path(folder) / "taken.png"
        subprocess.run(
            [
                browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                f"--window-size={max(500, shot.width)},{shot.height}",
                f"--blink-settings=preferredColorScheme={0 if shot.dark else 1}",
                "--virtual-time-budget=5000", f"--screenshot={taken}", frame.as_uri(),
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        picture = Image.open(taken).crop((0, 0, shot.width, shot.height))
        picture.convert("RGB").quantize(_COLOURS).save(path, optimize=True)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--pictures", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
