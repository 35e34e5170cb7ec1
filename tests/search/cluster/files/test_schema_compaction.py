"""Schemas in the compact form accept what the originals accept, and refuse unknown fields."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from search.cluster.files import schema_check
from tests.support.schema_compaction import compact_schemas, refuse_unknown_fields, remove_prose

ORIGINALS = Path(__file__).parents[5] / "shared" / "data" / "kuberay"
PART = {
    "type": "object",
    "description": "what people read",
    "properties": {
        "description": {"type": "string", "description": "a field of that name"},
        "size": {"type": "integer", "minimum": 1, "default": 3},
    },
    "required": ["size"],
}
ORIGINAL = {
    "type": "object",
    "title": "two of the same",
    "definitions": {"part": PART},
    "properties": {"left": {"$ref": "#/definitions/part"}, "right": PART},
}


def accepts(document, value, kind="thing"):
    schema = {"$defs": document["$defs"], **document["kinds"][kind]}
    return Draft202012Validator(schema).is_valid(value)


def test_prose_is_dropped_and_fields_of_such_names_are_kept():
    text = json.dumps(compact_schemas({"thing": ORIGINAL}))
    assert "what people read" not in text
    assert "two of the same" not in text
    assert accepts(json.loads(text), {"left": {"description": "a", "size": 1}})


def test_a_part_that_occurs_again_is_written_once():
    document = compact_schemas(
        {"thing": ORIGINAL, "other": {"type": "object", "properties": {"a": PART}}}
    )
    assert json.dumps(document).count('"minimum"') == 1
    assert accepts(document, {"a": {"size": 2}}, "other")
    assert not accepts(document, {"a": {"size": 0}}, "other")


@pytest.mark.parametrize(
    "value",
    [{"left": {}}, {"left": {"size": 0}}, {"left": {"size": 1, "sise": 2}}, {"middle": {}}, []],
)
def test_what_does_not_fit_is_refused_and_unknown_fields_are(value):
    assert not accepts(compact_schemas({"thing": ORIGINAL}), value)


def test_a_schema_that_contains_itself_is_refused():
    endless = {
        "definitions": {"a": {"items": {"$ref": "#/definitions/a"}}},
        "$ref": "#/definitions/a",
    }
    with pytest.raises(ValueError, match="contains itself"):
        compact_schemas({"thing": endless})


@pytest.mark.parametrize("family", ["kuberay", "kubernetes", "compose"])
def test_a_vendored_schema_is_a_schema_and_says_where_it_is_from(family):
    for kind in schema_check.list_kinds(family):
        Draft202012Validator.check_schema(schema_check.load_schema(family, kind))
    text = (files("search.cluster.files") / "schemas" / f"{family}.json").read_text("utf-8")
    assert "Apache-2.0" in json.loads(text)["about"]


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason=f"needs KubeRay's own schemas in {ORIGINALS}")
@pytest.mark.parametrize(
    ("kind", "name"),
    [("RayCluster", "rayclusters"), ("RayJob", "rayjobs"), ("RayService", "rayservices")],
)
def test_what_is_kept_of_kuberay_is_what_its_schemas_say(kind, name):
    kept = schema_check.load_schema("kuberay", kind)

    def written_out(part):
        if isinstance(part, list):
            return [written_out(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return written_out(kept["$defs"][part["$ref"].rpartition("/")[2]])
        return {key: written_out(value) for key, value in part.items() if key != "$defs"}

    original = json.loads((ORIGINALS / f"{name}.schema.json").read_text())
    assert written_out(kept) == refuse_unknown_fields(remove_prose(original))
