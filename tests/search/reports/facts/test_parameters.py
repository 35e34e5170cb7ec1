"""Importance, ranges to try next, and the space file that has them."""

import ast
import json
import math

import numpy as np
import pytest

from bench.support.recorded_search import Recipe, play_search
from search.core.errors import UsageError
from search.ledger.state import SearchState
from search.reports.facts import narrowed_space
from search.reports.facts.importance import LEAST_RESULTS, measure_importance, rank_trials
from search.reports.facts.next_ranges import NewRange, suggest_ranges
from search.space import loader
from tests.support.scripted_search import ScriptedSearch


def number(low, high, log=False):
    attributes = {"step": None, "low": low, "high": high, "log": log}
    return json.dumps({"name": "FloatDistribution", "attributes": attributes})


def choice(*choices):
    attributes = {"choices": list(choices)}
    return json.dumps({"name": "CategoricalDistribution", "attributes": attributes})


def searched(formula, trials=60):
    """A search of two numbers and a choice, whose dev EER is a formula of them."""
    tale, chance = ScriptedSearch(trials=trials), np.random.default_rng(0)
    ranges = {"rate": number(1e-4, 1e-1, log=True), "width": number(0, 1), "kind": choice("a", "b")}
    for _ in range(trials):
        axes = {
            "rate": float(10 ** chance.uniform(-4, -1)),
            "width": float(chance.uniform(0, 1)),
            "kind": str(chance.choice(["a", "b"])),
        }
        tale.segment(tale.trial(axes=axes, distributions=ranges), 1)
        tale.report(f"t{len(tale.state.trials):04d}", 1, formula(axes))
    return tale.state


def test_the_parameter_that_decides_has_the_most_importance_and_the_others_may_have_none():
    state = searched(lambda axes: 0.1 + 0.1 * abs(math.log10(axes["rate"]) + 2))
    rows = {row.parameter: row for row in measure_importance(state).rows}
    assert rows["rate"].share > 0.7
    assert rows["rate"].low > max(rows["width"].high, rows["kind"].high) / 2
    assert sum(row.share for row in rows.values()) == pytest.approx(1)
    assert all(0 <= row.low <= row.share <= row.high <= 1 for row in rows.values())


def test_importance_is_the_same_for_the_same_ledger():
    state = searched(lambda axes: 0.1 + 0.1 * axes["width"], trials=20)
    assert measure_importance(state) == measure_importance(state)


def test_few_results_have_no_importance_and_no_ranges_but_a_reason():
    state = searched(lambda axes: 0.1 + 0.1 * axes["width"], trials=LEAST_RESULTS - 1)
    for found in (measure_importance(state), suggest_ranges(state)):
        assert f"{LEAST_RESULTS - 1} trials have a result" in found.why_not
    assert measure_importance(state).rows == ()
    assert suggest_ranges(state).ranges == ()


def test_a_trial_that_got_further_ranks_before_a_better_one_that_was_stopped():
    tale = ScriptedSearch(trials=4)
    tale.train_new(0.2, 0.3)
    tale.train("t0002", 3, 0.29)
    assert [trial.trial for trial in rank_trials(tale.state)] == ["t0002", "t0001"]


def test_a_best_value_at_the_edge_widens_the_range_and_an_inner_one_narrows_it():
    at_edge = suggest_ranges(searched(lambda axes: 0.4 - 0.1 * math.log10(axes["rate"] / 1e-4)))
    (edge,) = at_edge.edges
    assert (edge.parameter, edge.edge) == ("rate", "upper")
    assert edge.new_high > 1e-1
    assert edge.new_low > 1e-4
    inner = suggest_ranges(searched(lambda axes: 0.1 + abs(axes["width"] - 0.5)))
    width = next(each for each in inner.ranges if each.parameter == "width")
    assert width.edge == ""
    assert 0 < width.new_low < 0.5 < width.new_high < 1


def test_a_choice_that_the_best_trials_do_not_have_is_left_out():
    found = suggest_ranges(searched(lambda axes: 0.1 if axes["kind"] == "b" else 0.3))
    kind = next(each for each in found.ranges if each.parameter == "kind")
    assert kind.new_choices == ("b",)


# --- the space file ---------------------------------------------------------------------------

SOURCE = '''"""Which rate?"""

from spkmodel.config import AdamW, TDNN, TrainConfig

WIDEST = 96


def space(trial):
    """Ask three parameters."""
    return TrainConfig(
        encoder=TDNN(
            channels=trial.suggest_int("channels", 16, WIDEST),  # é: bytes are no letters
            dropout=trial.suggest_float("dropout", 0.0, 0.5),
            embedding_dim=trial.suggest_categorical("embedding_dim", [32, 64]),
        ),
        optimiser=AdamW(
            learning_rate=trial.suggest_float("learning_rate", low=1e-4, high=1e-2, log=True)
        ),
    )
'''


def to(parameter, low, high, kind="float"):
    return NewRange(parameter, kind, 0, 0, low, high)


def test_only_numbers_and_choices_of_the_source_change():
    chosen = NewRange("embedding_dim", "categorical", choices=(32, 64), new_choices=(64,))
    ranges = {
        "learning_rate": to("learning_rate", 0.001, 0.02),
        "channels": to("channels", 20, 40, "int"),
        "embedding_dim": chosen,
    }
    written = narrowed_space.rewrite_ranges(SOURCE, ranges)
    expected = SOURCE.replace("low=1e-4, high=1e-2", "low=0.001, high=0.02")
    assert written == expected.replace("[32, 64]", "[64]")  # WIDEST is no literal: as it was


@pytest.fixture
def launched(tmp_path):
    """The settings of a search of SOURCE, and its file."""
    path = tmp_path / "rate.py"
    path.write_text(SOURCE, encoding="utf-8")
    tale = ScriptedSearch()
    tale.record("search", space="rate", space_sha256=loader.load(str(path)).sha256)
    return tale.state.search.settings, path


def test_the_space_file_is_one_that_describe_accepts(launched, tmp_path):
    settings, path = launched
    ranges = [to("learning_rate", 0.001, 0.02), to("dropout", 0.1, 0.3)]
    found = narrowed_space.narrow_space(settings, str(path), "mine", ranges)
    assert found.parameters == ("learning_rate", "dropout")
    written = tmp_path / "rate_next.py"
    written.write_text(found.source, encoding="utf-8")
    axes = {axis.name: axis for axis in loader.describe(loader.load(str(written)))}
    assert (axes["learning_rate"].low, axes["learning_rate"].high) == (0.001, 0.02)
    assert (axes["channels"].low, axes["channels"].high) == (16, 96)


def test_a_range_that_no_config_may_have_stays_and_the_others_change(launched):
    settings, path = launched
    ranges = [to("dropout", 0.1, 1.4), to("learning_rate", 0.001, 0.02)]
    found = narrowed_space.narrow_space(settings, str(path), "mine", ranges)
    assert found.parameters == ("learning_rate",)
    assert '"dropout", 0.0, 0.5' in found.source


def test_a_space_that_has_changed_since_the_launch_is_not_narrowed(launched):
    settings, path = launched
    path.write_text(SOURCE + "\n", encoding="utf-8")
    found = narrowed_space.narrow_space(settings, str(path), "mine", [to("dropout", 0.1, 0.3)])
    assert found.source == ""
    assert "has changed" in found.why_not


def test_a_space_whose_file_is_gone_is_not_narrowed(launched):
    settings, path = launched
    path.unlink()
    found = narrowed_space.narrow_space(settings, str(path), "mine", [to("dropout", 0.1, 0.3)])
    assert (found.source, "cannot be read" in found.why_not) == ("", True)


def test_a_name_with_a_line_end_adds_no_code_to_the_file(launched):
    settings, path = launched
    name = "x\nimport os\r\u2028os.abort()"
    found = narrowed_space.narrow_space(settings, str(path), name, [to("dropout", 0.1, 0.3)])
    assert ast.dump(ast.parse(found.source.split("\n", 2)[2])) == ast.dump(ast.parse(found.source))
    assert found.source.splitlines()[0].startswith("#")


def test_a_recorded_search_suggests_a_space_of_its_own():
    state = SearchState.from_events(play_search(Recipe(trials=40, epochs=9)))
    ranges = suggest_ranges(state).ranges
    found = narrowed_space.narrow_space(state.search.settings, "", "recorded", ranges)
    assert found.parameters
    assert narrowed_space.builds(found.source)


def test_a_source_without_a_space_does_not_build():
    assert not narrowed_space.builds("def other(trial): ...")
    with pytest.raises(UsageError):
        loader.load("no_such_space")
