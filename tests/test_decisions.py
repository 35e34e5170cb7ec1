"""What the index of the decisions promises of their pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
PARTS = ("Question", "Options", "Choice", "What would reopen it")


def _text(page):
    return page.read_text(encoding="utf-8")


def test_the_pages_are_numbered_without_gaps():
    assert [int(page.name[:2]) for page in PAGES] == list(range(1, len(PAGES) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name[:2])
def test_every_page_has_a_number_a_status_a_date_and_the_four_parts(page):
    head = r"# (\d+)\. [^\n]+\n\nStatus: (accepted|superseded)[^\n]*\. Date: \d{4}-\d\d-\d\d\.\n"
    found = re.match(head, _text(page))
    assert found
    assert int(found[1]) == int(page.name[:2])
    assert [part for part in PARTS if f"**{part}.**" not in _text(page)] == []


def test_the_index_lists_every_page_with_its_title_and_date():
    rows = re.findall(
        r"^\| (\d+) \| \[(.+)\]\((.+)\) \| .+ \| (.+) \|$", _text(FOLDER / "README.md"), re.M
    )
    pages = [
        re.match(r"# (\d+)\. (.+)\n\n.*Date: (.+)\.\n", _text(page)).groups() for page in PAGES
    ]
    assert rows == [
        (number, title, page.name, date)
        for page, (number, title, date) in zip(PAGES, pages, strict=True)
    ]


def test_every_file_that_a_page_names_is_there():
    named = [
        (page.name, path)
        for page in (*PAGES, ROOT / "STYLE.md", ROOT / "CONTRIBUTING.md")
        for path in re.findall(
            r"`((?:search|spkmodel|spaces|bench|tests|cluster|docs)/[\w/.-]*)`", _text(page)
        )
    ]
    assert len(named) > 40
    assert [(page, path) for page, path in named if not (ROOT / path).exists()] == []
