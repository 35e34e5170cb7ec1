"""What the verbs print that show spaces, searches and trials."""

import json
from dataclasses import asdict

import pytest

from search.cli.app import run
from search.core.lease import this_process
from tests.support.command_line import answered, failed
from tests.support.ledger_on_disk import LedgerOnDisk


def test_an_unknown_space_exits_2_and_names_the_nearest(capsys):
    code, said = failed(capsys, "describe", "tripplet")
    assert code == 2
    assert "did you mean 'triplet'" in said


@pytest.mark.parametrize("verb", ["status", "trials"])
@pytest.mark.usefixtures("night")
def test_an_unknown_search_exits_6_and_names_those_there_are(capsys, verb):
    code, said = failed(capsys, verb, "nigth")
    assert code == 6
    assert "night" in said


@pytest.mark.usefixtures("night")
def test_an_unknown_trial_exits_6(capsys):
    code, said = failed(capsys, "show", "night", "t0009")
    assert code == 6
    assert "t0009" in said


@pytest.mark.usefixtures("night")
def test_a_damaged_ledger_is_named_and_does_not_hide_the_other_searches(capsys, home):
    (home / "bad").mkdir()
    (home / "bad" / "ledger.jsonl").write_text("not json\n")
    assert run(["list"]) == 0
    out, err = capsys.readouterr()
    assert "night" in out
    assert "bad/ledger.jsonl:1" in err
    code, said = failed(capsys, "status", "bad")
    assert code == 1
    assert "ledger.jsonl:1" in said


def test_a_search_that_has_recorded_nothing_exits_7(capsys, home):
    (home / "new").mkdir(parents=True)
    (home / "new" / "ledger.jsonl").touch()
    assert failed(capsys, "status", "new")[0] == 7


def test_describe_prints_every_axis_with_its_condition(capsys):
    text = answered(capsys, "describe", "margin_softmax")
    assert text.splitlines()[2].split() == ["axis", "range", "asked", "when", "log"] or (
        text.splitlines()[2].split()[0] == "axis"
    )
    assert "loss = " in text


@pytest.mark.usefixtures("night")
def test_the_list_has_state_trials_and_best(capsys):
    row = answered(capsys, "list").splitlines()[1].split()
    assert row[:3] == ["night", "quickstart", "interrupted"]
    assert row[3:7] == ["3/9", "20.00", "%", "t0002"]


@pytest.mark.usefixtures("night")
def test_status_fits_on_a_screen(capsys):
    text = answered(capsys, "status", "night")
    assert len(text.splitlines()) <= 20
    assert "interrupted" in text
    assert "spksearch launch quickstart --name night" in text


@pytest.mark.usefixtures("night")
def test_trials_are_sorted_best_first_or_by_a_column(capsys):
    first = [line.split()[0] for line in answered(capsys, "trials", "night").splitlines()]
    assert first == ["trial", "t0002", "t0001", "t0003"]
    lines = answered(capsys, "trials", "night", "--sort", "trial").splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["t0001", "t0002", "t0003"]


@pytest.mark.usefixtures("night")
def test_show_draws_the_epochs_into_a_file(capsys, tmp_path):
    picture = tmp_path / "t0002.png"
    assert run(["show", "night", "t0002", "--plot", str(picture)]) == 0
    assert str(picture) in capsys.readouterr().err
    assert picture.read_bytes()[:4] == b"\x89PNG"
    code, said = failed(capsys, "show", "night", "t0002", "--plot", "t0002.svg")
    assert (code, "a PNG is written" in said) == (2, True)


@pytest.mark.usefixtures("night")
def test_show_prints_config_curve_checkpoint_and_commands(capsys, home):
    text = answered(capsys, "show", "night", "t0002")
    for part in (
        "loss: kind=aam_softmax",
        "different from the default config",
        "epoch  dev EER",
        f"{home}/night/trials/t0002/epoch-2",
        "spksearch promote night --trial t0002",
    ):
        assert part in text


def test_json_of_an_empty_home_is_an_empty_list(capsys):
    assert json.loads(answered(capsys, "list", "--json"))["searches"] == []


@pytest.mark.parametrize(("lives", "state"), [(True, "starting"), (False, "interrupted")])
def test_status_says_that_ray_was_lost_and_is_started_again(lives, state, capsys, home):
    lost = LedgerOnDisk(home, "lost")
    lost.begin()
    lost.trial(1)
    lost.write("segment", trial="t0001", to_rung=1)
    lost.write("cluster_lost", reason="Ray's raylet (process 7) has ended", restart=int(lives))
    me = asdict(this_process())
    (home / "lost" / "driver.json").write_text(json.dumps(me if lives else me | {"pid": 1}))
    told = json.loads(answered(capsys, "status", "lost", "--json"))
    assert told["state"] == state
    again = "; Ray is started again" if lives else ""
    assert told["reason"] == f"Ray's raylet (process 7) has ended{again}"
    assert told["running"] == []
    assert "Ray's raylet (process 7) has ended" in answered(capsys, "status", "lost")


@pytest.mark.usefixtures("night")
def test_status_without_a_name_lists_all_searches(capsys):
    assert answered(capsys, "status") == answered(capsys, "list")
    assert json.loads(answered(capsys, "status", "--json"))["searches"][0]["name"] == "night"


@pytest.mark.usefixtures("night")
def test_best_shows_the_trial_with_the_lowest_dev_eer(capsys):
    assert answered(capsys, "best", "night") == answered(capsys, "show", "night", "t0002")
    assert failed(capsys, "best", "day")[0] == 6


def test_best_of_a_search_without_a_result_exits_4(capsys, home):
    search = LedgerOnDisk(home, "young")
    search.begin()
    code, said = failed(capsys, "best", "young")
    assert (code, "no trial with a dev EER yet" in said) == (4, True)
