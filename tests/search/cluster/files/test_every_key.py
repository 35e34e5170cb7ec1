"""Every key and every value of every shipped YAML file, made wrong: each is told at its place."""

from pathlib import Path

import pytest
import yaml

from search.cluster.files.check import check_file
from search.cluster.files.findings import format_place

CLUSTER = Path(__file__).parents[4] / "cluster"
FILES = [
    "onprem.yaml",
    "aws.yaml",
    "gcp.yaml",
    "skypilot.yaml",
    "compose.yaml",
    "kuberay/networkpolicy.yaml",
    "kuberay/raycluster.yaml",
    "kuberay/rayjob.yaml",
    "kuberay/rayjob-kueue.yaml",
    "kuberay/storage.yaml",
]
NAMED_BY_THE_USER = {
    *("labels", "matchLabels", "limits", "requests", "rayStartParams", "capabilities.drop"),
    *("services", "volumes", "secrets", "environment", "args", "depends_on"),
    *("available_node_types", "file_mounts", "envs", "accelerators"),
}
"""Mappings whose keys are no words of a schema."""


def is_of_a_schema(place):
    """Whether the key at a place is a word of a schema, rather than of the user."""
    steps = [step for step in place if isinstance(step, str)]
    if not isinstance(place[-1], str) or any(step.startswith("x-") for step in steps):
        return False
    if "node_config" in steps[:-2]:
        return False  # below its first words the cloud's own interface decides
    return len(steps) < 2 or place[-2] not in NAMED_BY_THE_USER or is_resources_of_ray(place)


def is_resources_of_ray(place):
    return place[0] == "available_node_types" and place[-2] != "available_node_types"


def places(value, place=()):
    """Of every key and item, with what is there."""
    items = value.items() if isinstance(value, dict) else ()
    for key, item in [*items, *(enumerate(value) if isinstance(value, list) else ())]:
        yield (*place, key), item
        yield from places(item, (*place, key))


def changed(value, place, change):
    """A copy with `change(parent, step)` done to the parent of a place."""
    value = dict(value) if isinstance(value, dict) else list(value)
    step, *rest = place
    if rest:
        value[step] = changed(value[step], rest, change)
    else:
        change(value, step)
    return value


def kind_and_findings(tmp_path, name, document):
    path = tmp_path / Path(name).name
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    report = check_file(path)
    return report.kind, {(each.where, each.message) for each in report.findings}


def misspelt(parent, key):
    """A letter too many, where the key stood."""
    parent[f"{key}{key[-1]}"] = parent.pop(key)


@pytest.mark.parametrize("name", FILES)
def test_every_misspelt_key_is_told_with_the_right_one(tmp_path, name):
    document = yaml.safe_load((CLUSTER / name).read_text())
    keys = [place for place, _ in places(document) if is_of_a_schema(place)]
    keys = [place for place in keys if place not in {("kind",), ("resources",), ("apiVersion",)}]
    assert len(keys) > 5
    # Of those at one depth all at once, but for the first: they say what the document is.
    rounds = [[place] for place in keys if len(place) == 1]
    rounds += [
        [place for place in keys if len(place) == depth]
        for depth in range(2, max(map(len, keys)) + 1)
    ]
    for wrong in filter(None, rounds):
        broken = document
        for place in wrong:
            broken = changed(broken, place, misspelt)
        kind, findings = kind_and_findings(tmp_path, name, broken)
        assert kind, wrong
        for place in wrong:
            where = format_place((*place[:-1], f"{place[-1]}{place[-1][-1]}"))
            found = [message for at, message in findings if at == where]
            assert any(f"did you mean {place[-1]}?" in message for message in found), (where, found)


@pytest.mark.parametrize("name", FILES)
def test_every_value_that_is_a_mapping_and_must_not_be_is_told(tmp_path, name):
    document = yaml.safe_load((CLUSTER / name).read_text())
    scalars = [
        place
        for place, value in places(document)
        if not isinstance(value, dict | list)
        and is_of_a_schema(place)
        and "node_config" not in place
        and place not in {("kind",), ("apiVersion",)}
    ]
    broken = document
    for place in scalars:
        broken = changed(broken, place, lambda parent, step: parent.update({step: {"a": {}}}))
    _, findings = kind_and_findings(tmp_path, name, broken)
    told_of = {where for where, _ in findings}
    silent = [format_place(place) for place in scalars if format_place(place) not in told_of]
    assert not silent


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("kuberay/")])
@pytest.mark.parametrize(
    ("version", "message"),
    [
        (lambda now: now + "beta9", "must be"),
        (lambda now: now.replace("v1", "v0"), "must be"),
        (lambda _: "example.org/v1", "not known"),
    ],
)
def test_a_version_of_the_api_that_is_none_is_told(tmp_path, name, version, message):
    document = yaml.safe_load((CLUSTER / name).read_text())
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(document | {"apiVersion": version(document["apiVersion"])}))
    report = check_file(path)
    if message == "not known" and report.skipped:
        assert message in report.skipped
        return
    assert report.status == "bad"
    assert any(
        each.where == "apiVersion" and "must be" in each.message for each in report.findings
    ), report.findings
