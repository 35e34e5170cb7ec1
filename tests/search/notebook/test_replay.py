"""Entries as trials: which, how small, in which order; and one replay with real trainings."""

import json
from dataclasses import replace

import pytest

from search.cli.app import run
from search.core.errors import UsageError
from search.core.paths import ledger_path
from search.core.progress import Silent
from search.launch.settings import LaunchRequest, read_settings
from search.ledger.ledger import Ledger
from search.notebook.replay import run_replay
from search.notebook.replay_plan import ReplayRequest, plan_replay, queue_key
from search.notebook.replay_results import collect_results
from search.scheduler import audit
from spaces.logged import NotebookError, load_log, writing
from spaces.logged.claims import load_claims
from spaces.logged.scale import Scale, adapt_schedules, parse_scale, scale_config
from spkmodel.config import XVector
from tests.support import tone_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return tone_corpus.write_corpus(tmp_path_factory.mktemp("buzz"))


@pytest.fixture
def request_for(corpus):
    def make(entries="", scale="1/16", **fields):
        own = {name: fields.pop(name) for name in ("name", "dry_run") if name in fields}
        return ReplayRequest(
            entries=entries,
            corpus=corpus,
            scale=parse_scale(scale),
            launch=LaunchRequest(space="replay", corpus=corpus, **own),
            **fields,
        )

    return make


# --- which -----------------------------------------------------------------------------------


def test_what_an_entry_was_retrained_from_comes_along(request_for):
    what = plan_replay(request_for("110-111"))
    assert [entry.number for entry in what.entries] == ["105", "106", "110", "111"]
    assert what.name == "replay-110-111-1-16"
    assert plan_replay(request_for("101, 116", scale="full")).name == "replay-101_116"
    named = plan_replay(request_for("101", name="mine"))
    assert named.name == "mine"


def test_a_check_runs_both_sides_of_every_claim_once_for_each_seed(request_for):
    what = plan_replay(request_for(check=True, seeds=3))
    assert what.claims == list(load_claims())
    assert {e.number for e in what.entries} == {
        number for claim in load_claims() for number in (claim.entry, claim.against)
    }
    assert len(what.runs) == 3 * len(what.entries)
    only = plan_replay(request_for("20,33", check=True, seeds=2))
    assert [entry.number for entry in only.entries] == ["19", "20", "31", "33"]
    assert len({claim.entry for claim in load_claims()}) >= 10


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"entries": ""}, "which entries"),
        ({"entries": "20-19"}, "goes backwards; write 19-20"),
        ({"entries": "600"}, "no entry '600'; did you mean 128"),
        ({"entries": "37", "check": True}, r"no claim about 37; there are claims about 01\.2, "),
    ],
)
def test_what_cannot_be_replayed_is_said(request_for, fields, words):
    with pytest.raises((UsageError, NotebookError), match=words):
        plan_replay(request_for(**fields))


@pytest.mark.parametrize("text", ["tiny", "1/3", "2/4", "1/", "0.5", "1/0"])
def test_a_scale_is_one_of_a_few(text):
    with pytest.raises(NotebookError, match=r"--scale is full, small \(1/4\), 1/2"):
        parse_scale(text)


def test_a_notebook_of_ones_own_is_replayed_like_the_log(request_for, tmp_path):
    path = tmp_path / "mine.toml"
    mine = writing.create_notebook(path, "", continues_log=True)
    fields = {"number": "129", "based_on": "110", "warm_start": "110", "change": "longer"}
    writing.append_entry(mine, fields | {"kept": True, "delta": {"loss.margin": 1.0}})
    what = plan_replay(request_for("129", file=path))
    assert [entry.number for entry in what.entries] == ["106", "110", "129"]
    assert what.name == "replay-mine-129-1-16"
    assert queue_key(what, "129", 0) == "mine/129/1/16/0"
    with pytest.raises(UsageError, match="findings of the log; leave out --file"):
        plan_replay(request_for("129", file=path, check=True))


# --- how small -------------------------------------------------------------------------------


def test_a_quarter_of_the_widths_half_the_crops_and_speakers():
    config = scale_config(load_log().entry("106").config, Scale(4))
    encoder = config.encoder
    assert encoder.channels == (8, 8, 8, 12, 12, 12, 12, 16, 16, 16)
    assert (encoder.in_channels, encoder.dense, encoder.out_dim) == (8, (128, 128), 16)
    assert encoder.in_channels + sum(encoder.channels) == encoder.dense[-1]
    assert (config.batches.crop_seconds, config.batches.speakers) == (1.0, 8)
    assert config.batches.utterances == 2
    assert encoder.resblocks == load_log().entry("106").config.encoder.resblocks
    assert scale_config(config, Scale(1)) == config
    assert (parse_scale("small"), parse_scale("small").description) == (Scale(4), "scaled 1/4")
    assert parse_scale("full").description == ""


def test_every_entry_can_be_scaled_and_none_becomes_another_entrys_twin():
    for divisor in (2, 4, 8, 16):
        small = {e.number: scale_config(e.config, Scale(divisor)) for e in load_log().entries}
        for entry in load_log().entries:
            if entry.based_on and not entry.is_infrastructure and not entry.from_base:
                assert small[entry.number] != small[entry.based_on], (divisor, entry.number)


def test_schedules_end_with_the_training_and_decays_come_as_far_as_in_the_log():
    assert adapt_schedules(load_log().entry("116").config, 700).schedule.first_steps == 100
    assert adapt_schedules(load_log().entry("116").config, 701).schedule.first_steps == 101
    assert adapt_schedules(load_log().entry("42").config, 6_300).schedule.every_steps == 25
    renorm = adapt_schedules(load_log().entry("36").config, 630).encoder.renorm
    assert (renorm.hold_batches, renorm.r_batches, renorm.d_batches) == (5, 40, 25)
    assert load_log().entry("116").config.ema.warm_up is False
    assert adapt_schedules(load_log().entry("116").config, 700).ema.warm_up is True
    assert adapt_schedules(load_log().entry("116").config, 700).encoder == (
        load_log().entry("116").config.encoder
    )


def test_an_encoder_of_unknown_widths_is_not_scaled(tmp_path):
    mine = writing.create_notebook(tmp_path / "mine.toml", "", continues_log=False)
    delta = {"encoder": XVector().model_dump(mode="json")}
    entry = writing.append_entry(
        mine, {"number": "01", "change": "x-vector", "kept": True, "delta": delta}
    )
    with pytest.raises(NotebookError, match=r"'x_vector' cannot be scaled .*--scale full"):
        scale_config(entry.config, Scale(4))


# --- a dry run, and a real one ---------------------------------------------------------------


def test_a_dry_run_says_what_would_be_run_and_writes_nothing(corpus, spksearch_home, capsys):
    line = ["replay", "110", "--corpus", str(corpus), "--scale", "1/16", "--dry-run"]
    assert run(line) == 0
    said = capsys.readouterr().out
    assert "entries 106, 110 of logged" in said
    assert "36 training utterances of 6 speakers; 6 epochs, 24 steps" in said
    assert "scaled 1/16: widths / 16, crops and speakers a batch / 8" in said
    assert "warm starts: 110 from 106" in said
    assert list(spksearch_home.iterdir()) == []


def test_a_corpus_at_a_uri_is_replayed_on_as_its_folder_is(
    corpus, tmp_path, spksearch_home, capsys
):
    place = f"file://{tmp_path}/bucket/buzz"
    assert run(["corpus", "pack", str(corpus), "--to", place]) == 0
    capsys.readouterr()
    line = ["replay", "110", "--scale", "1/16", "--dry-run", "--corpus"]
    plans = []
    for each in (place, str(corpus)):
        assert run([*line, each]) == 0
        plans.append(capsys.readouterr().out)
    assert plans[0] == plans[1]
    assert "36 training utterances of 6 speakers" in plans[0]
    assert [path.name for path in spksearch_home.iterdir()] == ["corpora"]


def test_a_corpus_that_is_too_small_for_full_size_is_refused_with_the_entry(corpus, capsys):
    assert run(["replay", "106", "--corpus", str(corpus), "--dry-run"]) == 2
    words = capsys.readouterr().err
    assert "entry=106" in words
    assert "batches.speakers=16 is more than the 6 speakers" in words


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("local_ray")
def test_a_replay_starts_from_the_weights_it_names_and_tags_what_it_runs(
    request_for, spksearch_home, mlflow_server, monkeypatch, capsys
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    request = request_for("110", epochs=1, name="warm")
    outcome = run_replay(request, Silent())
    state = Ledger.open(ledger_path("warm")).state()
    source, warm = state.trials["t0001"], state.trials["t0002"]
    assert [trial.state for trial in (source, warm)] == ["complete", "complete"]
    assert (source.log_entry, warm.log_entry) == ("106", "110")
    assert warm.origin == "entry 110, scaled 1/16"
    assert warm.warm_start.sha256 == source.last.sha256
    assert warm.config["warm_start"]["weights"] == "warm/t0001"
    log = (spksearch_home / "warm" / "trials" / "t0002" / "log.txt").read_text()
    assert "starts from" in log
    assert audit.find_wrong_decisions(Ledger.open(ledger_path("warm")).events()) == []
    found = {each.entry.number: each for each in collect_results(outcome.plan, state)}
    assert found["110"].metrics["dev_eer"] == warm.at(1)
    assert _names_in_mlflow(mlflow_server.uri, "110") == ["t0002 entry 110, scaled 1/16"]
    _assert_it_goes_on(request, source)
    assert run(["status", "warm"]) == 0
    assert "3 of 3 trials (3 complete)" in capsys.readouterr().out
    line = ["replay", "106", "--name", "warm", "--scale", "1/16", "--json"]
    assert run([*line, "--corpus", str(request.corpus)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scale"] == "1/16"
    assert [each["trial"] for each in document["results"]] == ["t0001"]


def _names_in_mlflow(uri, number):
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("spksearch/replay")
    found = client.search_runs([experiment.experiment_id], f"tags.log_entry = '{number}'")
    return [each.info.run_name for each in found]


def _assert_it_goes_on(request, source):
    """Other entries are added to what has been run; another scale or length is another replay."""
    again = run_replay(replace(request, entries="106,107"), Silent())
    after = Ledger.open(ledger_path("warm")).state()
    assert [trial.log_entry for trial in after.trials.values()] == ["106", "110", "107"]
    assert after.trials["t0001"].reports == source.reports, "what has been run is not run again"
    assert again.plan.name == "warm"
    with pytest.raises(UsageError, match=r"another one: scale 1/16 before, 1/8 now"):
        run_replay(replace(request, scale=Scale(8)), Silent())
    with pytest.raises(UsageError, match=r"--max-epochs 1 before, 2 now"):
        run_replay(replace(request, epochs=2), Silent())
    assert read_settings("warm").trials == 0
