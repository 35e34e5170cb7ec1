"""The page of MLflow as a browser shows it: the shared view rests on no documented interface."""

import re
from html.parser import HTMLParser

import pytest

from search.tracking.server_access import write_start_page
from search.tracking.ui import page
from tests.support.pages.chromium import CHROMIUM, dump_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]


class Table(HTMLParser):
    """Texts of MLflow's run table: headings with their place, cells by row and column."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.headings: dict[str, float] = {}
        self.cells: dict[tuple[int, str], str] = {}
        self.words = ""
        self._row = -1
        self._column = ""
        self.feed(document)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 (the parser's names)
        known = dict(attrs)
        if "row-index" in known:
            self._row = int(known["row-index"])
        if known.get("role") == "gridcell":
            self._column = known["col-id"]
        elif known.get("role") == "columnheader" and known.get("col-id"):
            left = re.search(r"left: (\d+)", known.get("style", ""))
            self.headings[known["col-id"]] = float(left[1]) if left else 0.0

    def handle_data(self, data):
        self.words += data
        if self._column and data.strip():
            key = (self._row, self._column)
            self.cells[key] = (self.cells.get(key, "") + " " + data.strip()).strip()

    def column(self, name: str) -> list[str]:
        """A column's texts from the first row down."""
        rows = sorted(row for row, column in self.cells if column == name)
        return [self.cells[row, name] for row in rows]

    def order(self) -> list[str]:
        """Metrics, params and tags from left to right."""
        named = [each for each in self.headings if re.match(r"(metrics|params|tags)\.", each)]
        return sorted(named, key=lambda each: self.headings[each])


@pytest.fixture
def table(mlflow_server, ledger_on_disk, tmp_path):
    search = ledger_on_disk("browsed")
    search.begin()
    for number in range(1, 9):
        loss = ["softmax", "triplet"][number % 2]
        trial = search.trial(number, learning_rate=10**-number, loss=loss)
        search.segment(trial, to_rung=1)
        search.report(trial, 1, 0.5 - 0.05 * (number * 3 % 8))
        if number > 6:
            search.end(trial, ["stopped", "failed"][number % 2], rung=1)
    address = page([search.path], "browsed", mlflow_server.uri, [].append)
    # Without the start page the browser would be let in nowhere.
    to = "#" + address.partition("#")[2]
    address = write_start_page(mlflow_server.folder, mlflow_server.uri, to).as_uri()
    for attempt in (1, 2, 3):
        found = Table(dump_page(address, tmp_path / f"chromium-{attempt}", attempt * 30_000))
        if found.column("tags.`state`"):
            break
    return found


@pytest.mark.timeout(200)
def test_the_address_opens_on_the_trials_best_first_with_eer_state_rung_and_axes(table):
    assert table.order()[:3] == ["metrics.`best_dev_eer`", "tags.`state`", "tags.`rung`"]
    assert {"params.`learning_rate`", "params.`loss`"} <= set(table.order())
    eers = [float(text.rstrip("…")) for text in table.column("metrics.`best_dev_eer`")]
    assert eers == pytest.approx([0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5], abs=1e-5)
    names = " ".join(table.column("attributes.`Run Name`"))
    assert re.findall(r"t\d{4} tdnn \w+", names)[:2] == ["t0005 tdnn triplet", "t0002 tdnn softmax"]
    assert sorted(table.column("tags.`state`")) == ["failed", *["paused"] * 6, "stopped"]
    assert set(table.column("tags.`rung`")) == {"1"}
    assert "browsed: best dev EER 15.00%, trial t0005 at epoch 1" in table.words
