"""The report of a search: whole, alone in its file, and nothing executed that stands in a name."""

import base64
import hashlib
import json
import re
import struct
from html.parser import HTMLParser

import pytest

from bench.support.recorded_search import Recipe, record_search
from search.cli.app import run
from search.core.errors import EnvironmentSetupError, NotFinished, NotFound, UsageError
from search.reports import search_report
from search.reports.page import render
from search.space import loader
from tests.support.command_line import answered, failed
from tests.support.ledger_on_disk import LedgerOnDisk

HOSTILE = "<script>alert(1)</script>'\"&$x^2$`\u202e话者"
FIGURES = {"best-so-far", "rungs", "curves", "timeline", "importance", "parallel", "slices"}


class Page(HTMLParser):
    """Tags with their attributes, texts, and the ids of a page."""

    def __init__(self, text):
        super().__init__()
        self.text, self.words, self.tags, self.ids = text, "", [], []
        self.attributes = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *each) for each in attrs]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.words += data + " "


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("SPKSEARCH_HOME", str(folder))
    return folder


@pytest.fixture
def undrawn(monkeypatch):
    """Figures without a drawing, for tests of what the page says."""
    empty = {"wide": "<svg></svg>", "narrow": "<svg></svg>"}
    monkeypatch.setattr(
        render, "draw_chart", lambda chart: render.DrawnChart(chart.name, "", "", empty)
    )


def report_of(name, tmp_path, **options):
    written = search_report.write_files(name, tmp_path / "out" / "report.html", **options)
    return Page(written.page.read_text(encoding="utf-8")), written


@pytest.fixture
def recorded(recorded_report):
    """The page of a search of 30 trials, and what was written."""
    return Page(recorded_report.page.read_text(encoding="utf-8")), recorded_report


def test_a_report_has_every_figure_wide_and_narrow(recorded):
    page, _ = recorded
    assert set(page.ids) >= FIGURES
    assert page.tags.count("svg") == 2 * len(FIGURES)


def test_a_report_loads_nothing_and_runs_its_own_script_only(recorded):
    page, _ = recorded
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert value.startswith("#"), (tag, name, value)
    assert page.tags.count("script") == 1
    assert not re.search(r"@import|url\((?!#)", page.text)
    script = re.search(r"<script>(.*?)</script>", page.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(v for _, n, v in page.attributes if n == "content" and "default-src" in v)
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in policy
    assert script.count("\n") <= 300


def test_no_id_is_there_twice_and_every_reference_has_its_target(recorded):
    page, _ = recorded
    assert len(page.ids) == len(set(page.ids))
    used = {v[1:] for _, name, v in page.attributes if name in ("href", "xlink:href")}
    used |= set(re.findall(r"url\(#([^)]+)\)", page.text))
    assert used <= set(page.ids)


def test_figures_take_their_colours_from_the_page(recorded):
    page, _ = recorded
    drawings = "".join(re.findall(r"<svg.*?</svg>", page.text, re.DOTALL))
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawings)) <= {"#000000"}
    assert "var(--ink)" in drawings


def test_every_trial_is_marked_in_the_table_and_in_the_curves(recorded):
    page, _ = recorded
    rows = [value for tag, name, value in page.attributes if tag == "tr" and name == "data-t"]
    assert sorted(map(int, rows)) == list(range(1, 31))
    curves = page.text[page.text.index('<figure id="curves">') :]
    marked = set(re.findall(r'data-t="(\d+)"', curves[: curves.index("</figure>")]))
    assert len(marked) > 25


def test_the_same_figures_are_written_as_pngs(recorded):
    _, written = recorded
    assert {path.stem for path in written.pngs} == FIGURES
    for path in written.pngs:
        head = path.read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">I", head[16:20]) == (1250,)


def test_the_space_file_beside_it_is_described(recorded):
    page, written = recorded
    assert loader.describe(loader.load(str(written.space)))
    assert f"spksearch describe {written.space.name}" in page.words


def test_the_command_that_reproduces_a_search_has_only_flags_that_launch_knows(recorded, capsys):
    page, _ = recorded
    line = re.search(
        r"spksearch launch quickstart --corpus [^<]*?--name recorded-again[^<]*", page.text
    )
    known = answered(capsys, "launch", "--help")
    for flag in re.findall(r"--[a-z-]+", line[0]):
        assert flag in known


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("trials", [200, 1200])
def test_a_report_of_many_trials_stays_under_two_megabytes(tmp_path, home, trials):
    record_search(Recipe(trials=trials, slots=8), home)
    page, written = report_of("recorded", tmp_path)
    assert set(page.ids) >= FIGURES - {"timeline"}
    assert written.page.stat().st_size < 2_000_000


# --- searches that are not over, or went wrong ------------------------------------------------


def test_a_search_that_has_only_begun_has_a_report_that_says_so(tmp_path, home):
    search = LedgerOnDisk(home, "new")
    search.begin()
    page, written = report_of("new", tmp_path, status="running")
    assert "No trial has begun yet" in page.words
    assert page.tags.count("svg") == 0
    assert written.space is None


@pytest.mark.usefixtures("undrawn")
def test_a_search_under_way_shows_its_running_trials(tmp_path, home):
    record_search(Recipe(trials=40, epochs=3, seed=2, stop_after=400.0), home)
    page, _ = report_of("recorded", tmp_path, status="running")
    assert "Running:" in page.words
    assert re.search(r"\d+ running", page.words)
    assert "timeline" in page.ids


def test_one_trial_has_a_report_without_what_needs_several(tmp_path, home):
    search = LedgerOnDisk(home, "one")
    search.begin()
    search.segment(search.trial(1, loss="aam"), 1)
    search.report("t0001", 1, 0.2)
    page, _ = report_of("one", tmp_path, status="finished")
    assert "20.00 %" in page.words
    assert "There is no other trial with a result" in page.words
    assert "trials have a result; at least 12 are needed" in page.words
    assert set(page.ids) >= {"best-so-far", "curves", "timeline"}
    assert not set(page.ids) & {"importance", "parallel"}


def test_a_search_whose_trials_all_failed_names_the_kinds(tmp_path, home):
    search = LedgerOnDisk(home, "failed")
    search.begin()
    for number in (1, 2):
        search.segment(search.trial(number, loss="aam"), 1)
        search.end(f"t000{number}", "failed", 0, "diverged: loss is nan")
    page, _ = report_of("failed", tmp_path, status="finished")
    assert "All 2 trials failed" in page.words
    assert "diverged: loss is nan" in page.words


@pytest.mark.usefixtures("undrawn")
def test_two_objectives_have_their_front(tmp_path, home):
    record_search(Recipe(trials=11, epochs=3, objectives=("dev_eer", "encoder_parameters")), home)
    page, _ = report_of("recorded", tmp_path)
    assert "front" in page.ids


# --- names of other people --------------------------------------------------------------------


def test_names_are_text_wherever_they_stand(tmp_path, home):
    search = LedgerOnDisk(home, "safe", space=HOSTILE)
    search.begin(corpus=f"/corpora/{HOSTILE}\udcff", versions={HOSTILE: HOSTILE})
    for number in range(1, 15):
        name = search.trial(number, **{HOSTILE: HOSTILE, "plain": number})
        search.segment(name, 1)
        search.report(name, 1, 0.3 - number / 100)
    search.segment(search.trial(15, **{HOSTILE: "x"}), 1)
    search.end("t0015", "failed", 0, HOSTILE)
    text = search.path.read_text().replace("t0003", json.dumps(HOSTILE)[1:-1].replace("t0", "u0"))
    search.path.write_text(text)
    page, _ = report_of("safe", tmp_path, status="finished")
    assert page.tags.count("script") == 1
    assert "alert(1)" in page.words
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert page.words.count(HOSTILE[:25]) > 5


def test_credentials_in_an_address_are_not_shown(tmp_path, home):
    search = LedgerOnDisk(home, "secret")
    search.begin(corpus="s3://key:canary1@store/voices", tracking_uri="http://me:canary2@host")
    search.segment(search.trial(1, loss="aam"), 1)
    search.end("t0001", "failed", 0, "cannot reach postgresql://anna:canary3@db/x: token=canary4")
    page, _ = report_of("secret", tmp_path)
    assert "canary" not in page.text
    assert "s3://***@store/voices" in page.words


# --- the command ------------------------------------------------------------------------------


def test_report_writes_into_the_search_and_prints_where(capsys, home):
    search = LedgerOnDisk(home, "mine")
    search.begin()
    assert run(["report", "mine", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == "spksearch.report/1"
    assert said["page"] == str(home / "mine" / "report" / "report.html")
    assert search_report.write_report("mine", home / "elsewhere").name == "report.html"
    code, message = failed(capsys, "report", "mine", "--out", "report.pdf")
    assert (code, "name a file .html" in message) == (2, True)


def test_a_report_of_nothing_is_an_error(tmp_path, home):
    with pytest.raises(NotFound):
        search_report.write_report("absent", tmp_path)
    (home / "empty").mkdir(parents=True)
    (home / "empty" / "ledger.jsonl").touch()
    with pytest.raises(NotFinished):
        search_report.write_report("empty", tmp_path)


@pytest.mark.usefixtures("undrawn")
def test_a_file_of_the_users_is_not_replaced_and_one_of_a_report_is(tmp_path, home):
    record_search(Recipe(trials=14, epochs=3), home)
    page = tmp_path / "out" / "report.html"
    page.parent.mkdir()
    mine = page.parent / "quickstart_next.py"
    mine.write_text("mine\n")
    with pytest.raises(UsageError, match="not written by a report"):
        search_report.write_files("recorded", page)
    assert mine.read_text() == "mine\n"
    assert not page.exists()
    mine.unlink()
    for _ in range(2):
        assert search_report.write_files("recorded", page).space == mine


def test_a_folder_that_cannot_be_made_is_named(tmp_path, home):
    LedgerOnDisk(home, "mine").begin()
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentSetupError, match="file/below"):
        search_report.write_report("mine", tmp_path / "file" / "below")
