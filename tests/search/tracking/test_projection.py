"""What the ledger's events make of MLflow's runs."""

import pytest

from search.tracking.experiment_note import RESULT_TAG, format_note
from search.tracking.projection import CURSOR, HOLD, SEARCH, RunProjection
from search.tracking.values import finite, run_name


@pytest.fixture
def search(ledger_on_disk):
    made = ledger_on_disk("mirrored")
    made.begin()
    return made


def mirror_of(search) -> RunProjection:
    mirror = RunProjection()
    for event in search.events:
        mirror.add(event)
    return mirror


def points(mirror: RunProjection, key: str, metric: str) -> list[tuple[int, float]]:
    return [(each.step, each.value) for each in mirror.runs[key].points if each.key == metric]


def test_a_trial_has_a_point_of_each_metric_at_each_epoch(search):
    trial = search.trial(1, learning_rate=1e-3)
    search.segment(trial, to_rung=3)
    for epoch, eer in enumerate([0.3, 0.2, 0.25], start=1):
        search.report(trial, epoch, eer)
    mirror = mirror_of(search)
    assert points(mirror, trial, "dev_eer") == [(1, 0.3), (2, 0.2), (3, 0.25)]
    assert points(mirror, trial, "best_dev_eer") == [(1, 0.3), (2, 0.2)]
    assert points(mirror, trial, "train_loss") == [(1, 3.0), (2, 1.5), (3, 1.0)]


def test_the_searchs_best_falls_and_its_steps_are_the_reports_of_all_trials(search):
    for number, eer in enumerate([0.3, 0.4, 0.2], start=1):
        trial = search.trial(number, learning_rate=1e-3)
        search.segment(trial, to_rung=1)
        search.report(trial, 1, eer)
    mirror = mirror_of(search)
    assert points(mirror, SEARCH, "best_dev_eer") == [(1, 0.3), (3, 0.2)]
    assert mirror.runs[SEARCH].tags["best_trial"] == "t0003"


def test_a_report_of_an_attempt_that_is_over_makes_no_point(search):
    trial = search.trial(1)
    search.segment(trial, to_rung=3, attempt=1)
    search.report(trial, 1, 0.3, attempt=1)
    search.segment(trial, to_rung=3, from_epoch=1, attempt=2)
    search.report(trial, 2, 0.9, attempt=1)
    search.report(trial, 2, 0.2, attempt=2)
    search.report(trial, 2, 0.1, attempt=2)
    assert points(mirror_of(search), trial, "dev_eer") == [(1, 0.3), (2, 0.2)]


def test_an_epoch_that_is_trained_again_makes_no_second_point(search):
    trial = search.trial(1)
    search.segment(trial, to_rung=3)
    for epoch in (1, 2, 3):
        search.report(trial, epoch, 0.3)
    search.write("damaged", trial=trial, epoch=3, checkpoint="c", reason="gone", from_epoch=1)
    search.segment(trial, to_rung=3, from_epoch=1, attempt=2)
    for epoch in (2, 3):
        search.report(trial, epoch, 0.3, attempt=2)
    mirror = mirror_of(search)
    assert points(mirror, trial, "dev_eer") == [(1, 0.3), (2, 0.3), (3, 0.3)]
    assert points(mirror, trial, "best_dev_eer") == [(1, 0.3)]
    assert mirror.runs[trial].tags["trained_again"] == "[2, 3]"
    assert mirror.reports == 3


@pytest.mark.parametrize(
    ("state", "status"),
    [("complete", "FINISHED"), ("stopped", "FINISHED"), ("failed", "FAILED"), ("killed", "KILLED")],
)
def test_an_ended_trial_has_its_state_as_a_tag_and_mlflows_nearest_status(search, state, status):
    trial = search.trial(1)
    search.segment(trial, to_rung=1)
    search.report(trial, 1, 0.3)
    search.end(trial, state, rung=1, reason="because")
    run = mirror_of(search).runs[trial]
    assert run.status == status
    assert run.ended_ms == round(search.clock.timestamp() * 1000)
    assert (run.tags["state"], run.tags["rung"], run.tags["reason"]) == (state, "1", "because")


def test_an_ended_trial_that_goes_on_is_running_again(search):
    trial = search.trial(1)
    search.segment(trial, to_rung=1)
    search.report(trial, 1, 0.3)
    search.end(trial, "complete", rung=1)
    search.segment(trial, to_rung=3, from_epoch=1, attempt=2)
    run = mirror_of(search).runs[trial]
    assert (run.status, run.ended_ms, run.tags["state"]) == ("RUNNING", None, "running")


def test_a_finished_search_leaves_no_run_running_and_paused_trials_say_so(search):
    trial = search.trial(1)
    search.segment(trial, to_rung=1)
    search.report(trial, 1, 0.3)
    search.finish()
    mirror = mirror_of(search)
    assert {run.status for run in mirror.runs.values()} == {"FINISHED"}
    assert mirror.runs[trial].tags["state"] == "paused"
    assert mirror.runs[SEARCH].tags["state"] == "finished"


def test_an_extended_setting_is_told_by_a_tag_since_a_param_stays(search):
    search.begin(trials=48)
    run = mirror_of(search).runs[SEARCH]
    assert run.params["trials"] == "24"
    assert run.tags["extended_trials"] == "48"
    assert "extended_seed" not in run.tags


def test_the_search_says_why_it_waits_for_as_long_as_it_waits(search):
    search.write("hold", cause="disk", reason="the disk is nearly full", by="driver")
    search.write("hold", cause="user", reason="paused by ann", by="ann")
    mirror = mirror_of(search)
    assert mirror.runs[SEARCH].tags[HOLD] == "the disk is nearly full; paused by ann"
    assert format_note(mirror, {}).startswith(
        "# mirrored: no result yet; on hold: the disk is nearly full; paused by ann\n"
    )
    search.write("release", cause="disk", by="driver")
    assert mirror.add(search.events[-1]) == {SEARCH}
    assert mirror.runs[SEARCH].tags[HOLD] == "paused by ann"
    search.write("release", cause="user", by="ann")
    assert mirror.add(search.events[-1]) == {SEARCH}
    assert HOLD not in mirror.runs[SEARCH].tags
    assert "on hold" not in format_note(mirror, {})


def test_a_search_that_is_driven_again_or_has_ended_is_not_on_hold(search):
    for over in (search.begin, search.finish):
        search.write("hold", cause="cluster", reason="no machine has room", by="driver")
        assert HOLD in mirror_of(search).runs[SEARCH].tags
        over()
        assert HOLD not in mirror_of(search).runs[SEARCH].tags


def test_params_are_the_axes_as_they_were_drawn(search):
    trial = search.trial(1, learning_rate=0.1 + 0.2, loss="aam", widths=[1, 2], skip=True)
    params = mirror_of(search).runs[trial].params
    assert float(params["learning_rate"]) == 0.1 + 0.2
    assert (params["loss"], params["widths"], params["skip"]) == ("aam", "[1, 2]", "true")


def test_each_run_knows_how_many_events_it_rests_on(search):
    first, second = search.trial(1), search.trial(2)
    mirror = mirror_of(search)
    assert mirror.runs[first].tags[CURSOR] == "3"
    assert mirror.runs[second].tags[CURSOR] == "4"


def test_numbers_that_are_not_finite_make_no_point():
    values = {"a": 1, "b": float("nan"), "c": float("inf"), "d": True, "e": "1", "f": None}
    assert finite(values) == {"a": 1.0}


def test_an_evaluation_is_shown_on_the_trials_run(search):
    trial = search.trial(1)
    search.segment(trial, to_rung=1)
    search.report(trial, 1, 0.3)
    search.write("promoted", trial=trial, model="voices", version="3", alias="candidate")
    search.write("evaluated", trial=trial, condition="clean", test_eer=0.12)
    mirror = mirror_of(search)
    run = mirror.runs[trial]
    assert points(mirror, trial, "test_eer") == [(1, 0.12)]
    assert (run.tags["promoted_model"], run.tags["promoted_alias"]) == ("voices", "candidate")
    assert run.tags["evaluated_condition"] == "clean"
    assert mirror.runs[SEARCH].tags["promoted_trial"] == trial


def test_steering_and_kinds_of_a_later_version_change_no_run(search):
    mirror = mirror_of(search)
    for event in ("stop", "annotated"):
        search.write(event, trial=None, now=False, by="hand")
        assert mirror.add(search.events[-1]) == set()


def test_a_runs_name_tells_trial_encoder_and_loss():
    config = {"encoder": {"kind": "tdnn"}, "loss": {"kind": "triplet"}}
    assert run_name("t0007", config) == "t0007 tdnn triplet"


def test_the_heading_names_the_other_searches_of_the_experiment_after_its_own(search):
    mirror = mirror_of(search)
    tags = {
        RESULT_TAG + "mirrored": "mirrored: old",
        RESULT_TAG + "g": "g: best dev EER 26.89%, trial t0001 at epoch 3",
        **{f"{RESULT_TAG}z{place}": f"z{place}: no result yet" for place in range(5)},
        "mlflow.experimentKind": "custom_model_development",
    }
    heading = format_note(mirror, tags).splitlines()[0]
    assert heading.startswith("# mirrored: no result yet | g: best dev EER 26.89%")
    assert heading.endswith("z2: no result yet | 2 more searches")
    assert "old" not in heading
    assert "*killed* was stopped by hand" in format_note(mirror, {})
