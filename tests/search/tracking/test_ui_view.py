"""The tag that makes the page of MLflow, as far as it can be judged without one."""

import json

from search.tracking import ui_view

TRIALS = [
    {"learning_rate": 1e-3, "channels": 32, "loss": "aam", "aam_margin_rad": 0.2},
    {"learning_rate": 2e-3, "channels": 64, "loss": "triplet", "triplet_margin": 0.3},
]


def test_eer_state_and_rung_are_the_first_columns_and_the_best_trial_the_first_row():
    view = json.loads(ui_view.view("voices", TRIALS))
    columns = view["selectedColumns"]
    assert columns[:3] == ["metrics.`best_dev_eer`", "tags.`state`", "tags.`rung`"]
    assert {f"params.`{name}`" for axes in TRIALS for name in axes} <= set(columns)
    assert view["columnOrder"][-len(columns) :] == columns
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`best_dev_eer`", True)


def test_only_the_searchs_own_trials_are_shown():
    view = json.loads(ui_view.view("voices", TRIALS))
    assert view["searchFilter"] == "tags.`kind` = 'trial' and tags.`search` = 'voices'"


def test_parallel_coordinates_have_only_axes_that_every_trial_has():
    charts = {c["type"]: c for c in json.loads(ui_view.view("voices", TRIALS))["compareRunCharts"]}
    assert charts["PARALLEL"]["selectedParams"] == ["learning_rate", "channels", "loss"]
    assert charts["LINE"]["xAxisScaleType"] == "log"
    assert charts["SCATTER"]["xaxis"]["key"] == "learning_rate"


def test_without_a_learning_rate_the_most_varied_number_is_plotted():
    trials = [{"loss": "aam", "a": 1, "b": n, "same": 7} for n in range(3)]
    assert ui_view.most_telling(["loss", "a", "b", "same"], trials) == "b"
    assert ui_view.most_telling(["loss", "same"], trials) is None


def test_a_view_stays_below_what_mlflow_stores():
    trials = [{f"axis_{'x' * 150}_{n}": n for n in range(200)}]
    assert len(ui_view.view("voices", trials)) < 20_000
    trials = [{"x" * 30_000: 1}]
    assert len(ui_view.view("voices", trials)) < 20_000


def test_a_search_without_axes_still_has_a_view():
    view = json.loads(ui_view.view("voices", [{}]))
    assert [chart["type"] for chart in view["compareRunCharts"]] == ["LINE"]


def test_the_address_is_the_contracts_and_holds_no_password():
    address = ui_view.address("https://me:secret@host/base/", "7", "voices-2")
    assert address == (
        "https://host/base/#/experiments/7/runs?viewStateShareKey=spksearch-voices-2"
    )
