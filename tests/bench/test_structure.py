"""Claims about the measures of the code's structure."""

import ast
import textwrap
from pathlib import Path

import pytest

from bench import structure
from bench.support.string_keyed_reads import find_reads


def reads(source: str) -> list[str]:
    return [text for _, text in find_reads(ast.parse(textwrap.dedent(source)))]


@pytest.mark.parametrize(
    "read",
    ["event['trial']", "state.search.get('eta', 2)", "result['epoch']", "stops[-1]['by']"],
)
def test_a_field_of_an_event_taken_by_a_literal_key_is_found(read):
    assert reads(f"value = {read}") == [read]


def test_a_read_through_another_name_of_an_event_is_found():
    assert reads("""
        def count(ledger, known: Event):
            written = ledger.append("stop")
            print(written["time"], known["trial"])
            return [each["trial"] for each in ledger.events()]
        """) == ["known['trial']", "written['time']", "each['trial']"]


def test_writing_a_key_and_reading_another_mapping_are_no_reads_of_an_event():
    assert (
        reads("""
        def note(event, metrics, key):
            event["trial"] = metrics["dev_eer"]
            return event[key], event[0]
        """)
        == []
    )


def test_a_name_that_holds_an_event_in_one_function_is_free_in_another():
    assert reads("""
        def first(state):
            return [each["model"] for each in state.promotions]

        def second(conditions):
            return [each["eer"] for each in conditions]
        """) == ["each['model']"]


def test_modules_that_import_each_other_by_way_of_a_third_form_one_circle():
    imports = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}
    circles = [each for each in structure.strongly_connected(imports) if len(each) > 1]
    assert circles == [{"a", "b", "c"}]


def test_every_figure_above_its_limit_names_the_places():
    module = "search/long.py"
    source = "def long():\n" + "    print()\n" * structure.MOST_LINES
    parsed = structure.Module(module, source, ast.parse(source))
    for figure in (structure.longest_module([parsed]), structure.longest_function([parsed])):
        assert not figure.passes
        assert module in figure.breaches[0]


def test_every_package_of_search_and_of_spkmodel_has_a_layer():
    layers = structure.layers_of(Path(structure.ROOT))
    for package in structure.PACKAGES:
        folders = {path.parent.name for path in (structure.ROOT / package).glob("*/__init__.py")}
        assert folders <= layers[package].keys()
