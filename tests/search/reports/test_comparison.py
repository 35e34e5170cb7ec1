"""Models on the same pairs: what is better, what cannot be told, and what differs in configs."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from search.cli import app
from search.core.errors import UsageError
from search.ledger.ledger import Ledger
from search.reports import comparison, comparison_page
from search.reports.comparison import compare
from tests.support import untrained_search
from tests.support.command_line import failed
from tests.support.models.scored_folder import pairs_of, scored_model, write_folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPKSEARCH_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return untrained_search.make_corpus(tmp_path_factory.mktemp("compare-corpus"))


@pytest.fixture(scope="module")
def night(home, corpus):
    return untrained_search.make_search(home, corpus, "night")


def compared(*models):
    """The comparison of models whose scores are given."""
    from search.reports.contestants import Contestant

    contestants = [Contestant(m.name, m.name, None, {}, scored=m) for m in models]
    return comparison.compare_models(contestants, models)


def models(gain, seed=0):
    """Two models on the same pairs, the second better by so many deviations."""
    shared = np.random.default_rng([seed, 1]).normal(0, 1, len(pairs_of()))
    first = scored_model("a/t0001", 2.0, seed, shared=shared)
    return first, scored_model("b/t0001", 2.0 + gain, seed + 100, shared=shared)


def test_a_clearly_better_model_is_called_better_whichever_comes_first():
    one, other = models(1.5)
    (there,), (back,) = (compared(*pair).differences for pair in ((one, other), (other, one)))
    assert there.verdict == back.verdict == "b/t0001 is better"
    assert there.difference == pytest.approx(one.numbers["eer"] - other.numbers["eer"])
    assert there.probability < 0.025 < 0.975 < back.probability


def test_equal_models_are_rarely_called_different():
    verdicts = [compared(*models(0.0, seed)).differences[0].verdict for seed in range(15)]
    assert verdicts.count("not decided") >= 13


def test_few_speakers_cannot_decide():
    few = [
        scored_model(f"{name}/t0001", gain, pairs=pairs_of(4))
        for name, gain in (("a", 2), ("b", 1))
    ]
    (found,) = compared(*few).differences
    assert (found.verdict, found.probability) == ("cannot be decided", None)
    assert "5" in found.why_no_interval


def test_three_models_are_compared_two_by_two_with_a_word_on_many_comparisons():
    one, other = models(1.5)
    result = compared(one, other, scored_model("c/t0001", 1.0, 7))
    assert len(result.differences) == 3
    assert any("one in twenty" in str(part) for part in comparison_page.format_comparison(result))


def test_scores_are_put_into_the_order_of_the_first_models_pairs():
    one = scored_model("a/t0001")
    turned = scored_model("b/t0001", pairs=pairs_of()[::-1])
    assert turned.in_order_of(one).tolist() == turned.scores[::-1].tolist()
    with pytest.raises(UsageError, match="other pairs"):
        scored_model("b/t0001", pairs=pairs_of(6)).in_order_of(one)


def test_a_narrow_terminal_still_tells_models_and_figures_apart():
    console = Console(width=40, no_color=True, record=True, file=io.StringIO())
    one, other = models(1.5)
    for part in comparison_page.format_comparison(compared(one, other)):
        console.print(part, soft_wrap=isinstance(part, str))
    text = console.export_text()
    assert f"A {100 * one.numbers['eer']:.2f} %" in text
    assert "…" not in text


# --- by name ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("night")
def test_trials_of_a_search_are_compared_on_its_dev_pairs():
    result = compare(["night/t0002", "night/t0003"])
    assert result.models[0].listed["split"] == "dev"
    best = result.contestants[1].trial.best()
    assert result.models[1].numbers["eer"] == pytest.approx(best.objective, abs=1e-6)
    assert result.document()["differences"][0]["first"] == "night/t0002"


def test_a_search_stands_for_its_best_trial_and_configs_are_compared(home, corpus, night):
    untrained_search.make_search(home, corpus, "other", weights=10)
    result = compare(["night", "other"])
    assert [each.name for each in result.contestants] == ["night (t0003)", "other (t0003)"]
    assert result.configs == ()
    trial = night.ledger.state().trials["t0003"]
    changed = {**trial.config, "seed": 5}
    rows = comparison._config_rows([
        comparison.Contestant("a", "a", trial.config, {}),
        comparison.Contestant("b", "b", changed, {}),
        comparison.Contestant("c", "c", None, {}),
    ])  # fmt: skip
    assert rows == [("seed", (0, 5, None))]


@pytest.mark.usefixtures("night")
def test_test_pairs_are_counted_for_each_model(home, corpus):
    compare(["night/t0001", "night/t0002"], corpus, corpus / "test_trials.txt")
    state = Ledger.open(home / "night" / "ledger.jsonl").state()
    assert {each.trial for each in state.evaluations} == {"t0001", "t0002"}


@pytest.mark.usefixtures("night")
def test_what_cannot_be_compared_says_what_to_give(home, corpus, tmp_path):
    with pytest.raises(UsageError, match="at least two"):
        compare(["night/t0001"])
    with pytest.raises(UsageError, match="named twice"):
        compare(["night/t0001", "night/t0001"])
    with pytest.raises(UsageError, match="belong to --pairs"):
        compare(["night/t0001", "night/t0002"], corpus)
    elsewhere = untrained_search.make_corpus(tmp_path / "elsewhere", speakers=9)
    untrained_search.make_search(home, elsewhere, "elsewhere")
    with pytest.raises(UsageError, match="another corpus than night/t0001; name what to score"):
        compare(["night/t0001", "elsewhere/t0003"])
    folders = [write_folder(tmp_path / name, scored_model(f"{name}/t0001")) for name in "ab"]
    with pytest.raises(UsageError, match="not packed in this home"):
        compare(list(map(str, folders)))
    with pytest.raises(UsageError, match="other pairs than dev pairs"):
        compare(["night/t0001", str(folders[0])])


@pytest.mark.usefixtures("night")
def test_compare_prints_a_table_json_and_a_page(capsys, tmp_path):
    page = tmp_path / "both.html"
    assert app.run(["compare", "night/t0002", "night/t0003", "--out", str(page)]) == 0
    out = capsys.readouterr().out
    assert "A  night/t0002" in out.splitlines()
    assert "A - B: " in out
    text = page.read_text(encoding="utf-8")
    assert '<figure id="differences">' in text
    assert "night/t0003" in text
    assert app.run(["compare", "night/t0002", "night/t0003", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == "spksearch.comparison/1"
    assert 0 <= said["differences"][0]["probability"] <= 1
    code, message = failed(capsys, "compare", "night/t0002", "night/t0003", "--png")
    assert (code, "--out FILE" in message) == (2, True)
