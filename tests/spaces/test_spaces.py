"""Every space that comes with the project keeps the promises of a space."""

import ast
from pathlib import Path

import pytest

from search.space import loader
from spkmodel.config import TrainConfig


@pytest.fixture(scope="module", params=loader.available())
def space(request):
    return loader.load(request.param)


@pytest.fixture(scope="module")
def branches(space):
    return loader.branches(space)


def test_the_four_spaces_are_there():
    assert {"quickstart", "triplet", "margin_softmax", "lognet"} <= set(loader.available())


def test_every_branch_builds_a_config_that_survives_a_round_trip(branches):
    assert branches
    for branch in branches[:: max(1, len(branches) // 200)]:
        dumped = branch.config.model_dump(mode="json")
        assert TrainConfig.model_validate(dumped) == branch.config


def test_a_space_asks_a_question(space):
    assert space.question.endswith("?") or "?" in space.question


def test_every_axis_changes_the_config(space, branches):
    described = loader.describe(space)
    assert len({axis.name for axis in described}) == len(described)
    signatures = {branch.config.signature for branch in branches}
    assert len(signatures) > 1


def test_a_space_imports_only_configs_and_the_trials_type(space):
    tree = ast.parse(Path(space.path).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= {"typing", "spkmodel.config", "optuna"}


def test_an_encoder_can_be_built_for_every_space(branches):
    from spkmodel.nn import encoders

    assert encoders.parameter_count(branches[0].config.encoder) > 10_000
