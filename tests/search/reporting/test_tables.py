"""A search in numbers and words."""

from dataclasses import asdict
from datetime import timedelta

import pytest
from rich.console import Console

from search.core.errors import UsageError
from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.reporting.documents import document, full_trial_document, snapshot_document
from search.reporting.formatting import format_duration, format_percent, format_sparkline
from search.reporting.snapshot import (
    estimate_epochs,
    format_resume_command,
    suggest_commands,
    take_snapshot,
)
from search.reporting.tables import describe_changes, format_snapshot_line, snapshot_table
from search.reporting.trial_tables import format_curve, sort_trials, trial_page, trial_table
from search.space import loader
from spkmodel.config import TrainConfig
from tests.support import three_trials as example
from tests.support.events import event_of
from tests.support.scripted_search import ScriptedSearch

NOW = example.START + 120


def state(count: int | None = None) -> SearchState:
    return SearchState.from_events(example.events()[:count])


def text(*parts: object) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    return captured.get()


def test_the_command_that_goes_on_names_the_file_of_a_space_that_is_none_of_ours(tmp_path):
    path = tmp_path / "my spaces" / "mine.py"
    path.parent.mkdir()
    path.write_text(example_space())
    own = loader.user_space_file(loader.load(str(path)))
    search = event_of("search", search="night", space="mine", space_file=own)
    assert format_resume_command(search) == f"spksearch launch '{path}' --name night"
    assert loader.user_space_file(loader.load("quickstart")) == ""
    assert (
        format_resume_command(search.model_copy(update={"space_file": ""}))
        == "spksearch launch mine --name night"
    )
    travels = tmp_path / "own_spaces" / "mine.py"
    travels.parent.mkdir()
    travels.write_text(path.read_text())
    assert loader.user_space_file(loader.load(str(travels))) == "mine.py", (
        "a job's copy goes with the job"
    )


def example_space() -> str:
    lines = ['"""How?"""', "from spkmodel.config import TrainConfig"]
    return "\n".join([*lines, "def space(trial):", "    return TrainConfig()", ""])


def test_a_search_that_was_stopped_says_how_to_go_on_with_it():
    stopped = state()
    again = format_resume_command(stopped.search)
    time = "2026-01-01T00:00:00+00:00"
    stopped.apply(event_of("finish", time=time, search="x"))
    assert again not in take_snapshot(stopped).commands
    stopped.apply(event_of("stop", time=time, search="x", trial=None, now=False, by="anna"))
    assert again in take_snapshot(stopped).commands


def test_a_snapshot_counts_trials_by_state_and_by_rung():
    now = take_snapshot(state(), now=NOW)
    assert now.counts == {"running": 1, "complete": 1, "failed": 1}
    assert (now.started_trials, now.budget_trials, now.epochs) == (3, 9, 4)
    assert now.rungs == ((1, 2), (3, 1), (9, 0))
    assert now.failures == (("t0003", "diverged: loss is nan"),)


def test_the_best_is_the_lowest_dev_eer_of_any_epoch():
    best = take_snapshot(state(), now=NOW).best
    assert best is not None
    assert (best.trial, best.epoch, best.dev_eer) == ("t0002", 2, 0.2)
    assert best.axes["aam_margin_rad"] == 0.213456


def test_a_search_without_a_report_has_no_best_and_no_speed():
    now = take_snapshot(state(4), now=NOW)
    assert now.best is None
    assert now.epochs_per_minute is None
    assert now.eta_seconds is None


def test_speed_counts_the_epochs_since_the_driver_started():
    now = take_snapshot(state(), now=NOW)
    assert now.epochs_per_minute == pytest.approx(2)  # 4 epochs in 2 minutes
    later = take_snapshot(state(), started=example.START + 55, now=NOW)
    assert later.epochs_per_minute == pytest.approx(60 / 65)


def test_time_on_hold_is_no_work():
    tale = ScriptedSearch()
    tale.train_new(0.3)
    before = take_snapshot(tale.state, now=tale.now.timestamp()).epochs_per_minute
    tale.record("hold", cause="user", reason="lunch", by="anna")
    tale.now += timedelta(hours=1)
    on_hold = take_snapshot(tale.state, now=tale.now.timestamp())
    assert on_hold.eta_seconds is None
    tale.record("release", cause="user", by="anna")
    after = take_snapshot(tale.state, now=tale.now.timestamp()).epochs_per_minute
    assert on_hold.epochs_per_minute == pytest.approx(before, rel=0.5)
    assert after == pytest.approx(before, rel=0.5)


def test_of_nine_trials_a_third_goes_on_from_each_rung():
    assert estimate_epochs([1, 3, 9], 3, 9) == 9 * 1 + 3 * 2 + 1 * 6
    assert estimate_epochs([1, 3, 9], 3, 10) == 10 * 1 + 4 * 2 + 2 * 6
    assert estimate_epochs([1, 3, 9], 3, 9, finalists=3) == 9 * 1 + 3 * 2 + 3 * 6


def test_hours_bound_the_time_left():
    events = [example.search_event(hours=0.05), *example.events()[1:]]
    now = take_snapshot(SearchState.from_events(events), now=NOW)
    assert now.eta_seconds == pytest.approx(0.05 * 3600 - 120)
    assert take_snapshot(state(), now=NOW).eta_seconds > now.eta_seconds


def test_what_a_dead_driver_left_running_is_interrupted():
    now = take_snapshot(state(), now=NOW, status="interrupted")
    assert now.counts == {"interrupted": 1, "complete": 1, "failed": 1}
    assert now.running == ()
    assert now.commands[-1] == "spksearch launch quickstart --name night"


def test_a_finished_search_is_to_be_promoted():
    events = [*example.events(), example.event("finish", 99, reason="all trials done", totals={})]
    now = take_snapshot(SearchState.from_events(events), now=NOW)
    assert (now.state, now.reason) == ("finished", "all trials done")
    assert now.commands[-1] == "spksearch promote night"
    assert now.elapsed_seconds == pytest.approx(99)


def test_a_new_best_and_a_failure_are_news_and_the_same_again_is_not():
    before, now = take_snapshot(state(7), now=NOW), take_snapshot(state(), now=NOW)
    lines = describe_changes(before, now)
    assert [line.split(":")[0] for line in lines] == ["new best t0002", "trial t0003 failed"]
    assert "20.00 %" in lines[0]
    assert describe_changes(now, now) == []


def test_a_crash_is_news_and_so_is_an_address_but_not_another_count_of_events():
    before = take_snapshot(state(9), "3 events behind", now=NOW)
    crash = example.event("crash", 33, trial="t0002", attempt=1, reason="killed", counts=True)
    events = [*example.events()[:9], crash]
    now = take_snapshot(SearchState.from_events(events), "2 events behind", "http://x", now=NOW)
    assert describe_changes(before, now) == [
        "an attempt crashed (1 so far) and is tried again",
        "browse: http://x",
    ]
    assert "crashed attempts: 1" in format_snapshot_line(now)


def test_a_search_fits_on_one_line():
    line = format_snapshot_line(take_snapshot(state(), now=NOW))
    assert "\n" not in line
    assert "3 of 9 trials (1 running, 1 complete, 1 failed)" in line
    assert "best t0002: dev EER 20.00 % (18.0-23.0) at epoch 2" in line


def test_what_is_wished_for_is_counted_and_a_replay_is_gone_on_with_by_its_own_command():
    replay = {"notebook": "logged", "scale": "1/4", "command": "spksearch replay 106,110"}
    wish = QueuedTrial(key="110", config={}, origin="entry 110", weights_of="106")
    events = [
        example.search_event(trials=0, replay=replay),
        example.event("queued", 1, **asdict(wish)),
        *example.events()[1:],
    ]
    now = take_snapshot(SearchState.from_events(events), now=NOW, status="interrupted")
    assert now.commands[-1] == "spksearch replay 106,110 --name night"
    assert (now.waiting, now.budget_trials) == (1, 4)
    assert "3 of 4 trials" in format_snapshot_line(now)
    assert "1 waiting" in format_snapshot_line(now)


def test_the_screen_names_rungs_failures_address_and_commands():
    screen = text(
        snapshot_table(take_snapshot(state(), "ok", "http://127.0.0.1:5000/#/x", now=NOW))
    )
    for part in (
        "epoch 3: 1",
        "t0003: diverged",
        "http://127.0.0.1:5000/#/x",
        "spksearch stop night",
    ):
        assert part in screen


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3700, "1 h 01 min"), (9e5, "10 days")],
)
def test_durations_have_two_places_of_the_clock(seconds, words):
    assert format_duration(seconds) == words


def test_rates_are_percent_only_in_words():
    assert format_percent(0.0314) == "3.14 %"
    assert format_percent(None) == "-"


def test_trials_come_best_first_and_those_without_a_report_last():
    assert [t.trial for t in sort_trials(state(), "dev_eer")] == ["t0002", "t0001", "t0003"]


def test_trials_sort_by_an_axis_and_those_without_it_come_last():
    assert [t.trial for t in sort_trials(state(), "channels")] == ["t0002", "t0001", "t0003"]
    assert sort_trials(state(), "aam_margin_rad")[0].trial == "t0002"


def test_an_unknown_column_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'channels'"):
        sort_trials(state(), "chanels")


def test_the_trial_table_has_a_column_for_every_axis():
    table = text(trial_table(state(), sort_trials(state(), "dev_eer"), "running"))
    heading, first = table.splitlines()[:2]
    assert " ".join(heading.split()) == (
        "trial state rung epochs dev EER 95 % channels loss aam_margin_rad"
    )
    assert " ".join(first.split()) == "t0002 complete 3 3 20.00 % 18.0-23.0 64 aam_softmax 0.213"


def test_the_learning_curve_marks_the_best_epoch():
    rows = format_curve(state().trials["t0002"])[1:]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert [row.endswith("best") for row in rows] == [False, True, False]


def test_a_long_learning_curve_keeps_its_best_and_its_last_epoch():
    events = [example.trial_event("t0001", 1, 96), example.segment("t0001", 1, 500)]
    events += [
        example.report("t0001", epoch, epoch, 0.1 if epoch == 101 else 0.3)
        for epoch in range(1, 201)
    ]
    rows = format_curve(SearchState.from_events([example.search_event(), *events]).trials["t0001"])
    epochs = [int(row.split()[0]) for row in rows[1:]]
    assert len(epochs) <= 26
    assert {1, 101, 200} <= set(epochs)


def test_a_trial_shows_what_differs_from_the_best(tmp_path):
    default = TrainConfig().model_dump(mode="json")
    here = state()
    page = text(*trial_page(here, here.trials["t0001"], "running", tmp_path, default))
    assert "different from the best, t0002" in page
    assert "encoder.channels" in page
    assert "not 64" in page
    assert f"{tmp_path}/trials/t0001/epoch-1" in page.replace("\n", "")


def test_the_best_trial_is_compared_with_the_default(tmp_path):
    default = TrainConfig().model_dump(mode="json")
    here = state()
    page = text(*trial_page(here, here.trials["t0002"], "running", tmp_path, default))
    assert "different from the default config" in page
    assert "not 96" in page


def test_documents_have_a_schema_and_no_number_that_json_lacks():
    made = document(
        "status", **snapshot_document(take_snapshot(state(), now=NOW)), odd=[float("nan"), 1.5]
    )
    assert made["schema"] == "spksearch.status/1"
    assert made["odd"] == [None, 1.5]
    assert made["best"]["dev_eer"] == 0.2


def test_a_whole_trial_has_every_epoch_and_its_config():
    here = state()
    whole = full_trial_document(here, here.trials["t0002"], "running")
    assert [report["epoch"] for report in whole["reports"]] == [1, 2, 3]
    assert TrainConfig.model_validate(whole["config"]).signature == whole["signature"]


def test_a_hold_is_shown_everywhere_and_is_news_when_it_comes_and_goes():
    held = SearchState.from_events(
        [*example.events(), example.event("hold", 90, cause="disk", reason="1 GB free", by="us")]
    )
    before, now = take_snapshot(state(), now=NOW), take_snapshot(held, now=NOW)
    assert "running, on hold: 1 GB free" in text(snapshot_table(now))
    assert "; on hold: 1 GB free" in format_snapshot_line(now)
    assert describe_changes(before, now) == ["on hold: 1 GB free"]
    assert describe_changes(now, now) == []
    assert describe_changes(now, before) == ["no longer on hold"]
    assert snapshot_document(now)["holds"] == {"disk": "1 GB free"}
    assert take_snapshot(held, now=NOW, status="interrupted").holds == {}


def test_a_sparkline_rises_with_its_values_and_keeps_the_last_of_many():
    assert format_sparkline([0.1, 0.2, 0.8]) == "\u2581\u2582\u2588"
    assert format_sparkline([0.3, 0.3]) == "\u2581\u2581"
    assert format_sparkline([]) == ""
    many = format_sparkline([*range(100), -1], width=20)
    assert len(many) <= 21
    assert many[-1] == "\u2581"


def test_next_commands_of_two_objectives_name_the_front():
    both = event_of("search", search="s", objectives=("dev_eer", "encoder_parameters"))
    assert "spksearch trials s --pareto" in suggest_commands(both, "finished")
    assert "spksearch trials s --pareto" not in suggest_commands(event_of("search", search="s"), "")
