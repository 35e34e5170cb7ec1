"""Promotion end to end on a search that never ran: real checkpoint, real store, real MLflow."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile

from search.core.errors import (
    GateNotMet,
    NotFinished,
    NotFound,
    NoUsableTrial,
    SpksearchError,
    UsageError,
)
from search.core.paths import CODE
from search.core.progress import Silent
from search.evaluation import evaluate
from search.evaluation.pair_evaluation import describe_better_baselines
from search.ledger.ledger import Ledger
from search.models import loader, registry
from search.promotion import bundle, model_card, promote, registration
from search.reporting.markdown import escape_text
from search.tracking.server_access import read_credential, write_start_page
from spkmodel.data.store import Store
from spkmodel.verification import embed_and_score
from tests.support import untrained_search
from tests.support.events import append
from tests.support.pages.chromium import CHROMIUM, dump_page

CLOSE = "assert np.abs(embedding - embeddings).max() < 1e-5, 'both ways embed alike'"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("promote-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPKSEARCH_HOME", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return untrained_search.make_corpus(tmp_path_factory.mktemp("promote-corpus"))


@pytest.fixture(scope="module")
def tiny(home, corpus):
    return untrained_search.make_search(home, corpus, "night", dev_condition="mismatched")


@pytest.fixture(scope="module")
def made():
    """Filled by the first test that wants it: a promotion takes seconds."""
    return []


@pytest.fixture
def promoted(tiny, made, mlflow_server):
    if not made:
        assert not tiny.ledger.state().promotions
        made.append(promote.promote("night", tracking_uri=mlflow_server.uri))
    return made[0]


def test_the_best_is_promoted_with_both_conditions(promoted):
    document = promoted.document
    assert (document["trial"], document["epoch"]) == ("t0003", 3)
    assert list(document["test"]["conditions"]) == ["clean", "mismatched"]
    for numbers in document["test"]["conditions"].values():
        assert 0 <= numbers["eer_low"] <= numbers["eer"] <= numbers["eer_high"] <= 1
        assert len(numbers["floors"]) == 2
    assert document["dev"]["eer"] == pytest.approx(document["dev"]["recorded_eer"], abs=1e-6)
    assert document["test"]["list"]["pairs"] == 276
    assert document["test"]["looks"] == 0


def test_a_promoted_folder_has_every_file_and_nothing_is_half_written(promoted):
    names = {path.name for path in promoted.folder.iterdir()}
    assert names == {
        "encoder.safetensors",
        "config.json",
        "threshold.json",
        "report.json",
        "det.png",
        "histogram.png",
        "epochs.png",
        "scores.txt",
        "scores_mismatched.txt",
        "MODEL_CARD.md",
        *("MLmodel", "code", "conda.yaml", "pyfunc.py", "python_env.yaml", "requirements.txt"),
    }
    assert [path.name for path in promoted.folder.parent.iterdir()] == [promoted.folder.name]
    card = (promoted.folder / "MODEL_CARD.md").read_text()
    assert "| mismatched | **this model** |" in card
    assert "mel statistics, LDA" in card
    assert "cosine of the embeddings of whole utterances, without score normalisation" in card
    assert "![dev EER and training loss by epoch](epochs.png)" in card


def test_scores_give_the_published_eer_again(promoted):
    from spkmodel.verification import metrics

    rows = [line.split() for line in (promoted.folder / "scores.txt").read_text().splitlines()]
    scores = np.array([float(row[3]) for row in rows])
    targets = np.array([row[0] == "1" for row in rows])
    clean = promoted.document["test"]["conditions"]["clean"]
    assert metrics.eer(scores, targets) == clean["eer"]
    at_dev = clean["at_dev_threshold"]
    assert np.mean(scores[targets] < at_dev["threshold"]) == pytest.approx(at_dev["miss"])


def test_the_version_carries_hash_search_and_figures(promoted, mlflow_server):
    import mlflow

    client = mlflow.MlflowClient(mlflow_server.uri)
    version = client.get_model_version_by_alias("spksearch-night", "candidate")
    document = promoted.document
    assert version.version == promoted.registered.version
    assert version.tags["sha256"] == document["model"]["sha256"]
    assert (version.tags["search"], version.tags["trial"]) == ("night", "t0003")
    eer = document["test"]["conditions"]["clean"]["eer"]
    assert float(version.tags["test_eer"]) == pytest.approx(eer, abs=1e-6)
    artifacts = {file.path for file in client.list_artifacts(version.run_id, "promotion")}
    assert {"promotion/det.png", "promotion/report.json"} <= artifacts


@pytest.mark.parametrize(
    ("model", "alias"),
    [
        (None, "cand<b>"),
        (None, ""),
        (None, "latest"),
        (None, "V7"),
        (None, "a" * 256),
        ("a/b", "candidate"),
        ("a:b", "candidate"),
        ("a@b", "candidate"),
        ("it's", "candidate"),
        ("..", "candidate"),
        (" a", "candidate"),
        ("a ", "candidate"),
        ("a\nb", "candidate"),
        ("m" * 251, "candidate"),
    ],
)
def test_what_mlflow_refuses_is_refused_before_anything_is_opened(
    home, corpus, monkeypatch, model, alias
):
    if not (home / "early").exists():
        untrained_search.make_search(home, corpus, "early", space="early")

    def dies(*_, **__):
        raise AssertionError("opened")

    monkeypatch.setattr(bundle, "build_bundle", dies)
    monkeypatch.setattr(promote.mlflow_client, "connect_mlflow", dies)
    before = (home / "early" / "ledger.jsonl").read_bytes()
    with pytest.raises(UsageError, match="--model" if model else "--alias"):
        promote.promote("early", model=model, alias=alias)
    assert (home / "early" / "ledger.jsonl").read_bytes() == before
    assert not (home / "early" / "promoted").exists()


@pytest.mark.parametrize("alias", ["candidate", "v", "v1a", "A-b_9", "a" * 250])
@pytest.mark.parametrize("model", ["spksearch-night", "Stimme 2.0", "\u00fcber", "a" * 250])
def test_what_is_taken_is_what_mlflow_takes(model, alias):
    from mlflow.utils import validation

    promote.registry.check_names(model, alias)
    validation._validate_model_name(model)
    validation._validate_model_alias_name(alias)
    validation._validate_model_alias_name_reserved(alias)
    assert promote.registry.parse_uri(f"models:/{model}@{alias}") == (model, alias, None)


def test_promoting_again_computes_nothing_and_moves_the_alias(promoted, tiny, mlflow_server):
    import mlflow

    again = promote.promote("night", alias="champion", tracking_uri=mlflow_server.uri)
    assert again.again
    assert again.document == promoted.document
    card = (again.folder / "MODEL_CARD.md").read_text()
    assert 'spksearch.load_model("models:/spksearch-night/1")' in card, "the version, no alias"
    assert json.loads((again.folder / "report.json").read_text()) == again.document
    assert again.registered.version == promoted.registered.version
    client = mlflow.MlflowClient(mlflow_server.uri)
    (version,) = client.search_model_versions("name='spksearch-night'")
    assert version.description == model_card.format_description(again.document, version.run_id)
    assert sorted(client.get_registered_model("spksearch-night").aliases) == [
        "candidate",
        "champion",
    ]
    state = tiny.ledger.state()
    assert len(state.evaluations) == 1
    assert [event.alias for event in state.promotions] == ["candidate", "champion"]
    assert any("promoted before" in line for line in promote.format_summary(again))


def test_a_registered_model_loads_without_pickle_and_embeds_as_in_validation(
    promoted, tiny, mlflow_server, monkeypatch
):
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(mlflow_server.uri)
    store = Store.open(Path(tiny.ledger.state().search.store))
    utterance = store.of_split("test")[0]
    waveform = np.asarray(store.waveform(utterance), dtype=np.float32) / 32768
    loaded = mlflow.pyfunc.load_model(promoted.registered.uri)
    batch = np.stack([waveform, waveform[::-1]])
    embeddings = loaded.predict(batch)
    encoder = untrained_search.random_encoder(4)
    expected = embed_and_score.embed(encoder, store, [utterance])[utterance].numpy()
    assert embeddings.shape == (2, 16)
    assert np.abs(embeddings[0] - expected).max() < 1e-5


def test_the_snippets_of_the_card_run_as_printed_and_leave_nothing(
    promoted, mlflow_server, home, tmp_path
):
    card = (promoted.folder / "MODEL_CARD.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert "models:/spksearch-night/1" in snippets[0], "our own loader comes first"
    stands = tmp_path / "stands"
    shutil.copytree(promoted.folder, stands)
    samples = np.random.default_rng(0).integers(-3000, 3000, 16_000, dtype=np.int16)
    soundfile.write(stands / "recording.wav", samples, 16_000)
    before = {path.name for path in stands.iterdir()}
    program = "\n".join([*snippets, "import numpy as np", CLOSE])
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "PYTHONPATH": str(CODE),
        "SPKSEARCH_HOME": str(home),
        "MLFLOW_TRACKING_URI": mlflow_server.uri,
        **mlflow_server.client_environment(),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=stands, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.name for path in stands.iterdir()} == before


def test_a_model_under_the_name_of_another_is_compared_and_the_gate_counts_speakers(
    promoted, home, corpus, mlflow_server
):
    untrained_search.make_search(home, corpus, "second", dev_condition="mismatched", weights=10)
    report = promote.promote(
        "second",
        model="spksearch-night",
        if_better_than="candidate",
        tracking_uri=mlflow_server.uri,
    )
    # The test pairs are of six speakers, and the version stands, but not the alias.
    assert "6 speakers in the test pairs cannot decide" in str(report.problem)
    assert report.registered.uri == "models:/spksearch-night/2"
    text = "\n".join(promote.format_summary(report))
    assert "candidate is models:/spksearch-night/1 (night/t0003)" in text
    assert "on the same pairs, mismatched: EER" in text
    assert [each["condition"] for each in report.as_json()["comparisons"]] == [
        "clean",
        "mismatched",
    ]
    import mlflow

    client = mlflow.MlflowClient(mlflow_server.uri)
    assert client.get_model_version_by_alias("spksearch-night", "candidate").version == "1"
    assert promoted.registered.version == "1"
    # The scores that are compared give the published figure of the other model again.
    (clean, _) = report.registration.comparisons
    assert clean.other_eer == promoted.document["test"]["conditions"]["clean"]["eer"]


def test_an_alias_of_another_corpus_is_refused_before_the_test_pairs_are_opened(
    home, tmp_path, mlflow_server
):
    other = untrained_search.make_corpus(tmp_path / "other", speakers=15)
    strange = untrained_search.make_search(home, other, "strange")
    with pytest.raises(GateNotMet, match="another corpus"):
        promote.promote("strange", model="spksearch-night", tracking_uri=mlflow_server.uri)
    assert strange.ledger.state().evaluations == []


def test_a_model_that_is_worse_than_no_network_is_called_so_everywhere(promoted, mlflow_server):
    import mlflow

    worse = describe_better_baselines(promoted.document["test"]["conditions"].values())
    assert "mel statistics" in worse, "an untrained network"
    card = (promoted.folder / "MODEL_CARD.md").read_text()
    assert f"**Worse than no network:** {escape_text(worse)}" in card
    assert any("worse than no network" in line for line in promote.format_summary(promoted))
    version = mlflow.MlflowClient(mlflow_server.uri).get_model_version("spksearch-night", "1")
    assert version.tags["worse_than_no_network"] == worse


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.timeout(200)
def test_the_models_page_shows_the_pictures_of_the_card(promoted, mlflow_server, tmp_path):
    version = promoted.registered
    to = f"#/models/{version.name}/versions/{version.version}"
    address = write_start_page(mlflow_server.folder, mlflow_server.uri, to).as_uri()
    for attempt in (1, 2, 3):
        page = dump_page(address, tmp_path / f"chromium-{attempt}", attempt * 20_000)
        pictures = re.findall(r'<img[^>]*src="(get-artifact[^"]*)"', page)
        if pictures:
            break
    assert len(pictures) == 3, page[-3000:]
    for picture in pictures:
        request = urllib.request.Request(f"{mlflow_server.uri}/{picture.replace('&amp;', '&')}")
        request.add_header("Authorization", f"Bearer {read_credential(mlflow_server.folder)}")
        with urllib.request.urlopen(request) as answer:
            assert answer.read(8) == b"\x89PNG\r\n\x1a\n"


def test_evaluating_a_registered_model_gives_the_promoted_figures(
    promoted, corpus, tiny, mlflow_server, tmp_path
):
    report = evaluate.evaluate(
        promoted.registered.uri,
        corpus,
        Path("test_trials.txt"),
        "mismatched",
        tmp_path / "out",
        tracking_uri=mlflow_server.uri,
    )
    there = promoted.document["test"]["conditions"]["mismatched"]
    assert report.document["eer"] == there["eer"]
    assert report.document["eer_low"] == there["eer_low"]
    assert report.document["model"]["source"] == "models:/spksearch-night/1"
    assert report.document["looks"] == 0  # the very look that the promotion took
    assert len(tiny.ledger.state().evaluations) == 1


@pytest.mark.usefixtures("promoted")
def test_another_trial_on_the_same_test_pairs_says_that_they_were_looked_at(corpus, tiny, tmp_path):
    report = evaluate.evaluate("night/t0001", corpus, Path("test_trials.txt"), out=tmp_path / "o")
    assert report.document["looks"] == 1
    assert len(tiny.ledger.state().evaluations) == 2
    assert any("looked at once before" in line for line in evaluate.format_summary(report))


@pytest.mark.usefixtures("promoted")
def test_an_unknown_model_alias_or_version_is_not_found(mlflow_server):
    for uri in (
        "models:/spksearch-night@nobody",
        "models:/spksearch-night/99",
        "models:/nothing/1",
    ):
        with pytest.raises(NotFound, match="spksearch-night"):
            loader.load(uri, "cpu", mlflow_server.uri)


def test_weights_that_differ_from_the_recorded_hash_are_refused(promoted, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(promoted.folder, folder)
    (folder / "encoder.safetensors").write_bytes(
        loader.serialise_weights(untrained_search.random_encoder(9))
    )
    with pytest.raises(SpksearchError, match="SHA-256"):
        loader.read_promoted(folder, "cpu", promoted.document["model"]["sha256"])


def test_a_registered_config_that_was_changed_in_the_store_is_refused(promoted, mlflow_server):
    stored = mlflow_server.folder / "mlartifacts"
    (config,) = [
        path
        for path in stored.rglob("artifacts/artifacts/config.json")
        if (path.parent / "report.json").read_text().count('"night"')
    ]
    before = config.read_text()
    config.write_text(before.replace("}", " }", 1))
    try:
        with pytest.raises(SpksearchError, match=r"config\.json is not the recorded one"):
            loader.load(promoted.registered.uri, "cpu", mlflow_server.uri)
    finally:
        config.write_text(before)
    assert loader.load(promoted.registered.uri, "cpu", mlflow_server.uri).sha256


def test_a_checkpoint_whose_dev_eer_is_not_the_recorded_one_is_not_promoted(tiny):
    with pytest.raises(SpksearchError, match=r"but the ledger says 0\.499"):
        promote.promote("night", trial="t0001")
    assert not (tiny.home / "night" / "promoted" / "t0001-1").exists()


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.lines = []

    def print_line(self, text):
        self.lines.append(text)


def _without_registry(monkeypatch):
    """Promote without a server: the version is made up, and no alias points anywhere."""
    version = registry.RegisteredVersion("spksearch-made", "1", "candidate", created=True)
    move = registration.AliasMove("spksearch-made", "candidate", None)
    done = registration.Registration(version, move, [], "", "")
    monkeypatch.setattr(promote.mlflow_client, "connect_mlflow", lambda *_: nullcontext())
    monkeypatch.setattr(promote.registration, "plan_move", lambda *_, **__: move)
    monkeypatch.setattr(
        promote.registration, "register", lambda _, __, document, *___: (done, document)
    )


@pytest.mark.usefixtures("promoted")
def test_a_second_promotion_on_a_corpus_computes_no_baseline_and_no_copy_again(
    home, corpus, monkeypatch
):
    untrained_search.make_search(home, corpus, "second", dev_condition="mismatched")
    _without_registry(monkeypatch)

    def compute(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr("spkmodel.verification.baselines.compute_baselines", compute)
    monkeypatch.setattr("spkmodel.augment.conditions.stores.apply_to_stored", compute)
    conditions = promote.promote("second").document["test"]["conditions"]
    assert [len(numbers["floors"]) for numbers in conditions.values()] == [2, 2]


def test_a_damaged_checkpoint_is_recorded_and_passed_over_and_a_removed_one_is_explained(
    home, corpus, monkeypatch
):
    hurt = untrained_search.make_search(home, corpus, "hurt", dev_condition="mismatched")
    _without_registry(monkeypatch)
    path = hurt.checkpoint("t0003", 3) / "tensors.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    heard = Heard()
    report = promote.promote("hurt", trial="t0003", display=heard)
    assert report.document["epoch"] == 1
    assert "epoch 3 is passed over" in heard.lines[0]
    assert "better at epoch 3" in heard.lines[1]
    (event,) = [event for event in hurt.ledger.events() if event.event == "damaged"]
    assert (event.trial, event.epoch, event.from_epoch) == ("t0003", 3, 3)

    place = hurt.checkpoint("t0003", 1)
    shutil.rmtree(place)
    with Ledger.open(home / "hurt" / "ledger.jsonl", write=True) as ledger:
        gone = str(place.relative_to(home / "hurt"))
        append(ledger, "removed", trial="t0003", checkpoints=[gone], bytes=0)
    with pytest.raises(NoUsableTrial, match=r"1 were damaged; 1 were removed.*--keep-checkpoints"):
        promote.promote("hurt", trial="t0003")
    with pytest.raises(NoUsableTrial, match="--keep-checkpoints"):
        loader.load("hurt/t0003", "cpu")


def test_a_store_that_was_removed_is_packed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path / "home"))
    _without_registry(monkeypatch)
    voices = untrained_search.make_corpus(tmp_path / "voices")
    untrained_search.make_search(
        tmp_path / "home", voices, "bald", space="bald", dev_condition="mismatched"
    )
    shutil.rmtree(tmp_path / "home" / "corpora")
    report = promote.promote("bald")
    assert report.document["dev"]["eer"] == pytest.approx(report.document["dev"]["recorded_eer"])
    shutil.rmtree(tmp_path / "home" / "corpora")
    (voices / "wav" / "v00" / "0.wav").write_bytes((voices / "wav/v00/1.wav").read_bytes())
    shutil.rmtree(report.folder)
    with pytest.raises(UsageError, match="the corpus has changed"):
        promote.promote("bald")


def test_an_interrupted_promotion_is_completed_by_the_next(
    home, corpus, mlflow_server, monkeypatch
):
    untrained_search.make_search(home, corpus, "cut", space="cut")

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registration.registry, "register_version", dies)
        with pytest.raises(KeyboardInterrupt):
            promote.promote("cut", tracking_uri=mlflow_server.uri)
    state = Ledger.open(home / "cut" / "ledger.jsonl").state()
    assert (len(state.evaluations), len(state.promotions)) == (1, 0)
    with monkeypatch.context() as patch:
        # The test pairs are not scored again.
        patch.setattr(bundle.pair_metrics, "evaluate_pairs", dies)
        report = promote.promote("cut", tracking_uri=mlflow_server.uri)
    assert not report.again
    state = Ledger.open(home / "cut" / "ledger.jsonl").state()
    assert (len(state.evaluations), len(state.promotions)) == (1, 1)


def test_nothing_is_left_of_a_promotion_that_died_while_writing(home, corpus, monkeypatch):
    tiny = untrained_search.make_search(home, corpus, "torn", space="torn")

    def dies(*_, **__):
        raise KeyboardInterrupt

    _without_registry(monkeypatch)
    monkeypatch.setattr(bundle.model_card, "format_card", dies)
    with pytest.raises(KeyboardInterrupt):
        promote.promote("torn")
    assert list((home / "torn" / "promoted").iterdir()) == []
    assert tiny.ledger.state().evaluations == []


def test_a_corpus_without_test_pairs_promotes_without_figures(home, tmp_path, mlflow_server):
    bare = untrained_search.make_corpus(tmp_path / "bare")
    (bare / "test_trials.txt").unlink()
    untrained_search.make_search(home, bare, "bare", space="bare")
    report = promote.promote("bare", tracking_uri=mlflow_server.uri)
    assert report.document["test"] is None
    assert report.registered.version == "1"
    assert any("`spksearch corpus split`" in line for line in promote.format_summary(report))
    assert not (report.folder / "scores.txt").exists()
    json.dumps(report.as_json(), allow_nan=False)


@pytest.mark.usefixtures("tiny")
def test_a_search_that_still_runs_cannot_be_promoted(home):
    code = (
        "import sys, time; from pathlib import Path; from search.ledger.ledger import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1]), write=True); print('held', flush=True)\n"
        "time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(home / "night" / "ledger.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        try:
            with pytest.raises(NotFinished, match="still runs"):
                promote.promote("night")
        finally:
            driver.kill()


@pytest.mark.usefixtures("tiny")
def test_an_unknown_trial_names_near_ones():
    with pytest.raises(NotFound, match="t0002"):
        promote.promote("night", trial="t002")


def test_a_search_without_a_result_has_no_usable_trial(home):
    with Ledger.open(home / "empty" / "ledger.jsonl", write=True) as ledger:
        append(ledger, "search", space="tiny", rungs=[1, 3])
    with pytest.raises(NoUsableTrial, match="no trial with a dev EER"):
        promote.promote("empty")
