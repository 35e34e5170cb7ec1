"""What an alias pointed to, how the two compare, and when the alias is moved; without a server."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from search.core.errors import GateNotMet
from search.models.registry import RegisteredVersion
from search.promotion import gate, registration
from search.promotion.registration import AliasMove, plan_move
from spkmodel.verification import metrics

SPEAKERS = 20
CORPUS = "c" * 64


class FakeRegistry:
    """Versions by number, aliases, and the files that promotions have stored with them."""

    def __init__(self, folder):
        self.folder = folder
        self.aliases = {}
        self.tags = {}

    def get_model_version_by_alias(self, name, alias):
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

        if alias not in self.aliases:
            raise MlflowException("no such alias", error_code=RESOURCE_DOES_NOT_EXIST)
        version = self.aliases[alias]
        return SimpleNamespace(
            name=name, version=version, run_id=version, tags=self.tags.get(version, {})
        )

    def search_registered_models(self):
        return []

    def download_artifacts(self, run_id, path, place):
        source = self.folder / run_id / Path(path).name
        if not source.is_file():
            raise OSError(path)
        target = Path(place) / source.name
        target.write_bytes(source.read_bytes())
        return str(target)

    def set_registered_model_alias(self, _, alias, version):
        self.aliases[alias] = version


def _pairs():
    rng = np.random.default_rng(0)
    targets = np.arange(4000) % 4 == 0
    enrol = rng.integers(0, SPEAKERS, 4000)
    other = (enrol + rng.integers(1, SPEAKERS, 4000)) % SPEAKERS
    return targets, enrol, np.where(targets, enrol, other)


def _write(folder, separation, *, listed="l" * 64, seed=1):
    """Write the report and the scores of a promotion; return its EER."""
    targets, enrol, test = _pairs()
    noise = np.random.default_rng(seed).standard_normal(len(targets))
    scores = noise + separation * targets
    folder.mkdir(parents=True)
    lines = [
        f"{int(target)} s{a:02d}/x{n}.wav s{b:02d}/y{n}.wav {score!r}\n"
        for n, (target, a, b, score) in enumerate(
            zip(targets, enrol, test, map(float, scores), strict=True)
        )
    ]
    (folder / "scores.txt").write_text("".join(lines))
    document = {
        "scoring": "cosine",
        "corpus_sha256": CORPUS,
        "dev": {"condition": "clean"},
        "test": {"list": {"sha256": listed}, "conditions": {"clean": {"surroundings": ""}}},
    }
    (folder / "report.json").write_text(json.dumps(document))
    return document, metrics.eer(scores, targets)


STORE = SimpleNamespace(speaker=lambda path: path.split("/")[0])


@pytest.fixture
def client(tmp_path):
    return FakeRegistry(tmp_path / "runs")


def _compared(client, tmp_path, separation, **there):
    """Compare a new model with one of separation 2.0 that `champion` points to."""
    _, other_eer = _write(tmp_path / "runs" / "1", 2.0, seed=2, **there)
    client.aliases["champion"], client.tags["1"] = "1", {"test_eer": f"{other_eer:.6f}"}
    document, _ = _write(tmp_path / "here", separation)
    move = plan_move(client, "m", "champion", "champion", CORPUS, force=False)
    found = gate.compare_with_holder(client, move.rival, tmp_path / "here", document, STORE)
    return move, document, *found


def test_a_clearly_better_model_moves_the_alias_and_the_old_one_is_kept_as_previous(
    client, tmp_path
):
    move, document, comparisons, why_not = _compared(client, tmp_path, 4.0)
    (clean,) = comparisons
    assert (clean.verdict, clean.speakers, why_not) == ("better", SPEAKERS, "")
    assert clean.high < 0
    registered = RegisteredVersion("m", "2", "", created=True)
    problem = registration._find_gate_problem(move, registered, document, comparisons, "")
    assert problem == ""
    moved = registration._move_alias(client, move, registered)
    assert moved.uri == "models:/m@champion"
    assert client.aliases == {"champion": "2", "previous": "1"}


@pytest.mark.parametrize("separation", [2.0, 1.0])
def test_an_equal_or_worse_model_leaves_the_alias_and_says_by_how_much(
    client, tmp_path, separation
):
    move, document, comparisons, _ = _compared(client, tmp_path, separation)
    assert comparisons[0].verdict == "not shown to be better"
    registered = RegisteredVersion("m", "2", "", created=True)
    problem = registration._find_gate_problem(move, registered, document, comparisons, "")
    assert "not shown to be better than champion (models:/m/1)" in problem
    assert f"{100 * comparisons[0].high:+.2f} points (clean, 95 %)" in problem


def test_few_speakers_decide_nothing_however_large_the_difference():
    assert gate.decide_by_interval(-0.2, -0.1, gate.LEAST_SPEAKERS - 1) == "cannot decide"
    assert gate.decide_by_interval(-0.2, -0.1, gate.LEAST_SPEAKERS) == "better"
    assert gate.decide_by_interval(None, None, 3) == "cannot decide"


def test_models_on_other_pairs_are_not_compared(client, tmp_path):
    move, document, comparisons, why_not = _compared(client, tmp_path, 4.0, listed="o" * 64)
    assert (comparisons, why_not) == ([], "it was evaluated on other pairs")
    registered = RegisteredVersion("m", "2", "", created=True)
    problem = registration._find_gate_problem(move, registered, document, comparisons, why_not)
    assert "cannot be compared with champion" in problem


def test_stored_scores_that_are_not_those_of_the_registered_eer_decide_nothing(client, tmp_path):
    _write(tmp_path / "runs" / "1", 2.0, seed=2)
    client.aliases["champion"], client.tags["1"] = "1", {"test_eer": "0.400000"}
    document, _ = _write(tmp_path / "here", 4.0)
    move = plan_move(client, "m", "champion", "champion", CORPUS, force=False)
    with pytest.raises(GateNotMet, match=r"0\.400000 is registered"):
        gate.compare_with_holder(client, move.rival, tmp_path / "here", document, STORE)


@pytest.mark.parametrize("tagged", [True, False])
def test_an_alias_of_another_corpus_is_moved_by_force_only(client, tmp_path, tagged):
    _write(tmp_path / "runs" / "1", 2.0)
    client.aliases["candidate"] = "1"
    if tagged:  # versions of before 0.2.0 have the corpus in their report only
        client.tags["1"] = {"corpus_sha256": CORPUS, "search": "night", "trial": "t0003"}
    with pytest.raises(GateNotMet, match="of another corpus") as caught:
        plan_move(client, "m", "candidate", None, "d" * 64, force=False)
    assert "--force" in str(caught.value)
    assert caught.value.exit_code == 5
    assert plan_move(client, "m", "candidate", None, "d" * 64, force=True).holder.version == "1"
    assert plan_move(client, "m", "candidate", None, CORPUS, force=False).holder.version == "1"


def test_where_no_alias_is_there_yet_the_first_model_gets_it(client, tmp_path):
    document, _ = _write(tmp_path / "here", 1.0)
    move = plan_move(client, "m", "champion", "champion", CORPUS, force=False)
    assert move == AliasMove("m", "champion", None, "champion", None)
    registered = RegisteredVersion("m", "1", "", created=True)
    assert registration._find_gate_problem(move, registered, document, [], "") == ""
    registration._move_alias(client, move, registered)
    assert client.aliases == {"champion": "1"}
