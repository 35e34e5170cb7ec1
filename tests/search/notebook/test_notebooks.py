"""The verb `notebook`: what a person reads of the log, and how a trial becomes an entry."""

import json

import pytest

from search.cli.app import run
from spaces.logged import open_notebook
from spkmodel.config import TDNN, TrainConfig
from tests.support import three_trials as example


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def answered(capsys, *arguments):
    assert run(arguments) == 0
    return capsys.readouterr().out


def failed(capsys, *arguments):
    code = run(arguments)
    out, err = capsys.readouterr()
    assert code != 0
    assert out == ""
    assert "Traceback" not in err
    return code, err


def test_the_log_is_a_table_with_a_line_for_each_entry(capsys):
    lines = answered(capsys, "notebook").splitlines()
    rows = [line for line in lines if line[:2].isdigit()]
    assert len(rows) == 73 + 1
    assert "73 entries: 37 kept, 18 with a finding written down" in lines
    row = next(line for line in rows if line.startswith("20 "))
    assert row.split() == [
        "20", "19", "kept", "activation", "Swish", "significantly", "better",
    ]  # fmt: skip
    assert "(unchanged/furthur)" in next(line for line in rows if line.startswith("04"))


def test_one_entry_shows_its_changes_with_what_was_before_and_its_weights(capsys):
    page = answered(capsys, "notebook", "125")
    assert "1,250,128 in the encoder, 3,074,922 in the loss, 4,325,050 together" in page
    stated, _, hidden = page.partition("without a word in the text (script and code@b94f4e3)")
    assert "augment.data_pp.noise_repeats" in stated
    assert "loss.terms.1.loss.margin  0.5  was 2.0" in hidden
    assert "spksearch replay 116,125 --corpus DIR" in page
    assert "the same as 112" in answered(capsys, "notebook", "113")


def test_branches_hang_beside_what_was_kept(capsys):
    lines = answered(capsys, "notebook", "--tree").splitlines()
    assert len(lines) == 73
    kept = [line.split()[0] for line in lines if line[0].isdigit()]
    assert kept[-4:] == ["112", "113", "116", "125"]
    place = next(i for i, line in enumerate(lines) if "└─ 126" in line)
    assert lines[place - 1].startswith(" ├─ 122  L2 norm")
    assert lines[place].startswith(" │   └─ 126  based on 122: DataPP  [dropped; (unchanged)]")
    assert any("110  retrained from 106" in x and "weights of 106" in x for x in lines)


def test_programs_read_the_same(capsys):
    document = json.loads(answered(capsys, "notebook", "--json"))
    assert document["schema"] == "spksearch.notebook/1"
    assert len(document["entries"]) == 73
    entry = json.loads(answered(capsys, "notebook", "106", "--json"))
    assert entry["weights"]["total"] == 1_281_888
    assert entry["delta"] == {"encoder.out_dim": 64}
    assert entry["config"]["encoder"]["out_dim"] == 64


def test_what_is_not_there_is_said(capsys):
    code, words = failed(capsys, "notebook", "129")
    assert code == 2
    assert "notebook 'logged' has no entry '129'; did you mean 128? (there: 01.1 to 128)" in words
    code, words = failed(capsys, "notebook", "--file", "none.toml")
    assert code == 6
    assert "`spksearch notebook init none.toml` begins one" in words


def test_a_trial_becomes_the_entry_after_the_logs_last_and_the_next_is_based_on_it(capsys, home):
    last = example.event(
        "end", 70, trial="t0001", state="stopped", reason="enough", rung=1, by="budget"
    )
    example.write(home, [*example.events(), last])
    assert "after 128 of the log" in answered(capsys, "notebook", "init", "mine.toml")
    add = ["notebook", "add", "--file", "mine.toml", "--from-trial"]
    page = answered(capsys, *add, "night/t0002", "--finding", "smaller, not worse")
    assert page.startswith("entry      129, kept\nchange     encoder tdnn(")
    first = open_notebook(home.parent / "mine.toml").entry("129")
    assert (first.based_on, first.finding) == ("125", "smaller, not worse")
    assert "dev EER 20.00 % (18.0-23.0) at epoch 2" in first.evidence
    assert first.config == TrainConfig(encoder=TDNN(channels=64))
    answered(capsys, *add, "night/t0001", "--dropped", "--mark", "(unchanged)")
    second = open_notebook(home.parent / "mine.toml").entry("130")
    assert (second.based_on, second.kept, second.mark) == ("129", False, "(unchanged)")
    assert second.delta == {"encoder.channels": 96}
    assert second.change == "encoder.channels 96"
    listed = answered(capsys, "notebook", "--file", "mine.toml")
    assert "2 entries: 1 kept" in listed
    assert " └─ 130  encoder.channels 96" in answered(
        capsys, "notebook", "--tree", "--file", "mine.toml"
    )


def test_only_a_trial_that_has_ended_with_a_result_is_written_down(capsys, home):
    example.write(home)
    answered(capsys, "notebook", "init")
    add = ["notebook", "add", "--from-trial"]
    code, words = failed(capsys, *add, "t0001")
    assert (code, "takes SEARCH/TRIAL" in words) == (2, True)
    assert failed(capsys, *add, "night/t9999")[0] == 6
    code, words = failed(capsys, *add, "night/t0003")
    assert (code, "has no result" in words) == (7, True)
    code, words = failed(capsys, *add, "night/t0001")
    assert (code, "has not ended yet (running)" in words) == (7, True)
