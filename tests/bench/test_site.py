"""The documentation site: links, generated pages, and the check of what was built."""

import pytest

from bench.site import built_pages, cli_reference, hooks, model_reference
from search.ledger.events import ReportEvent
from spkmodel import config


def site(tmp_path, **pages):
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
    return built_pages.find_faults(tmp_path)


@pytest.mark.parametrize(
    "element",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<link rel="preconnect" href="https://fonts.example" crossorigin>',
        '<img src="https://img.example/badge.svg">',
        "<style>@import 'https://fonts.example/css';</style>",
        '<p style="background: url(https://img.example/a.png)">',
    ],
)
def test_what_a_page_loads_from_another_host_is_a_fault(tmp_path, element):
    (fault,) = site(tmp_path, index=f"<html>{element}</html>")
    assert "index.html loads" in fault


def test_links_to_other_hosts_and_own_files_are_no_faults(tmp_path):
    page = '<a href="https://arxiv.org/abs/1801.07698">paper</a><script src="x.js"></script>'
    assert site(tmp_path, index=page) == []


def test_a_page_that_no_link_reaches_is_a_fault(tmp_path):
    index = '<a href="reached.html#part">x</a>'
    faults = site(tmp_path, index=index, reached="", island='<a href="index.html">up</a>')
    assert faults == ["island.html is reached by no link from index.html"]


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("scale.md", "[a](../cluster/README.md#a)", "[a](project/cluster/README.md#a)"),
        ("project/CONTRIBUTING.md", "[a](docs/decisions/README.md)", "[a](../decisions/README.md)"),
        ("decisions/README.md", "[a](01-segments.md)", "[a](01-segments.md)"),
        ("results.md", "[`bench/`](../bench/)", "`bench/`"),
        ("results.md", "[a](missing.md)", "[a](missing.md)"),
        ("results.md", "![a](pictures/det.png)", "![a](pictures/det.png)"),
        ("results.md", "```\n[a](../bench/)\n```", "```\n[a](../bench/)\n```"),
    ],
)  # fmt: skip
def test_links_of_the_tree_become_links_of_the_site(page, link, there):
    assert hooks.rewrite_links(link, page) == there


def test_the_reference_has_every_command_and_option():
    page = cli_reference.cli_page()
    names = [name for name, _ in cli_reference.commands()]
    assert {"launch", "corpus split", "cluster check", "notebook add"} <= set(names)
    for name, command in cli_reference.commands():
        section = page.partition(f"## spksearch {name}\n")[2].partition("\n## ")[0]
        missing = [
            option
            for parameter in command.params
            for option in parameter.opts
            if option.startswith("--") and option not in section
        ]
        assert missing == []


def test_every_exit_code_stands_on_its_page():
    page = cli_reference.exit_codes_page()
    for code in ("0", "1", "2", "3", "4", "5", "6", "7", "130, 143"):
        assert f"| {code} | " in page
    assert "SPKSEARCH_HOME" in page


def test_the_reference_has_every_field_of_the_config_and_of_an_event():
    page, events = model_reference.config_page(), model_reference.events_page()
    for field in config.Triplet.model_fields:
        assert f"| `{field}` |" in page.partition("## Triplet\n")[2].partition("\n## ")[0]
    for field in ReportEvent.model_fields:
        assert f"| `{field}` |" in events.partition("## ReportEvent\n")[2].partition("\n## ")[0]
    assert "Subtracted from the target's cosine." in page
