"""The pages as a browser shows them: three widths, light and dark, nothing asked of the network."""

import html
import json
import re
import shutil
import subprocess

import pytest

from search.reports import comparison, comparison_page, evaluation_report
from search.reports.contestants import Contestant
from tests.support.models.scored_folder import scored_model

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "chrome"])), None)
WIDTHS = (390, 1024, 1600)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.timeout(180),
]

# Each page stands in a frame of its own width, so that one start of the browser measures them all.
_FRAMES = """<!DOCTYPE html><meta charset="utf-8"><body>{frames}<pre id="found"></pre><script>
const measure = (frame) => {{
  const page = frame.contentDocument, view = frame.contentWindow;
  const shown = (each) => each.getClientRects().length > 0;
  const tops = [...page.querySelectorAll("section, figure")].filter(shown);
  const wide = tops.filter((each) => each.getBoundingClientRect().right > view.innerWidth + 1);
  const row = page.querySelector("tr[data-t]");
  let marked = 0;
  if (row) {{
    row.dispatchEvent(new view.MouseEvent("mouseover", {{bubbles: true}}));
    marked = page.querySelectorAll("svg .on").length;
  }}
  return {{
    width: view.innerWidth,
    scrolls: page.documentElement.scrollWidth > view.innerWidth,
    beyond: wide.map((each) => each.id || each.className),
    wide: page.querySelectorAll("div.wide svg").length
      ? shown(page.querySelector("div.wide svg")) : null,
    narrow: page.querySelectorAll("div.narrow svg").length
      ? shown(page.querySelector("div.narrow svg")) : null,
    smallest: Math.min(...[...page.querySelectorAll("svg text")].filter(shown)
      .map((each) => each.getBoundingClientRect().height)),
    paper: view.getComputedStyle(page.body).backgroundColor,
    ink: view.getComputedStyle(page.querySelector("svg text")).fill,
    asked: view.performance.getEntriesByType("resource").map((each) => each.name),
    button: page.getElementById("theme").hidden,
    marked,
  }};
}};
addEventListener("load", () => {{
  const frames = [...document.querySelectorAll("iframe")];
  document.getElementById("found").textContent = JSON.stringify(frames.map(measure));
}});
</script>"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory, recorded_report):
    """The pages of a search, an evaluation and a comparison."""
    folder = tmp_path_factory.mktemp("pages")
    models = [scored_model("a/t0001"), scored_model("b/t0001", 1.0, 1)]
    contestants = [Contestant(m.name, m.name, {"seed": n}, {}) for n, m in enumerate(models)]
    result = comparison.compare_models(contestants, models)
    return [
        recorded_report.page,
        evaluation_report.write_models(models, folder / "evaluation.html"),
        comparison_page.write_comparison_page(result, folder / "comparison.html"),
    ]


def browse(page, folder, scheme):
    """What a page measures at each width, and what the console said."""
    text = html.escape(page.read_text(encoding="utf-8"), quote=True)
    frames = "".join(
        f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{text}"></iframe>'
        for width in WIDTHS
    )
    around = folder / "frames.html"
    around.write_text(_FRAMES.format(frames=frames), encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1700,3000",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr",
            f"--blink-settings=preferredColorScheme={scheme}",
            "--virtual-time-budget=20000", "--dump-dom", around.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found)), said


@pytest.mark.parametrize("which", [0, 1, 2], ids=["search", "evaluation", "comparison"])
def test_a_page_fits_every_width_and_asks_nothing(pages, tmp_path, which):
    papers = set()
    # The pages share their style: both colours of one page, the light one of the others.
    for scheme in (1, 0) if which == 0 else (1,):
        folder = tmp_path / str(scheme)
        folder.mkdir()
        frames, said = browse(pages[which], folder, scheme)
        assert said == []
        assert [frame["width"] for frame in frames] == list(WIDTHS)
        for frame in frames:
            assert not frame["scrolls"], frame
            assert frame["beyond"] == []
            assert frame["asked"] == []
            assert frame["narrow"] == (frame["width"] < 640)
            assert frame["wide"] == (frame["width"] >= 640)
            assert frame["smallest"] >= 8  # pixels: what is smaller cannot be read
            assert frame["paper"] != frame["ink"]
            assert frame["button"] is False  # the page's own script has run
        if which == 0:
            assert all(frame["marked"] >= 3 for frame in frames)  # a trial in several figures
        papers.add(frames[0]["paper"])
    assert len(papers) == (2 if which == 0 else 1)
