"""Crops, normalised and calibrated scores, slices: asked for by flags, told in the report."""

import json
from pathlib import Path

import numpy as np
import pytest

from search.cli.app import run
from search.core.errors import UsageError
from search.evaluation import access_record, evaluate
from search.evaluation.analysis import AnalysisRequest
from search.evaluation.protocol import DEFAULT, Protocol
from search.ledger.ledger import Ledger
from spkmodel.data.crops import Crops
from spkmodel.data.lists import ListError, read_pairs
from spkmodel.data.store import Store
from spkmodel.verification import calibration, embed_and_score, metrics, score_files, scoring
from spkmodel.verification.back_end import BackEnd, mean_of, speaker_cohort, utterance_cohort
from tests.support import untrained_search
from tests.support.events import append

DEV, TEST = Path("valid_trials.txt"), Path("test_trials.txt")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ways-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPKSEARCH_HOME", str(folder))
        for variable in ("SPKSEARCH_NOISE", "SPKSEARCH_ROOMS"):
            patch.delenv(variable, raising=False)
        # Baselines and pictures are tested elsewhere, and take most of the time.
        patch.setattr("spkmodel.verification.baselines.compute_baselines", lambda *_, **__: [])
        patch.setattr("search.evaluation.pair_evaluation.draw_figures", lambda *_: None)
        yield folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = untrained_search.make_corpus(tmp_path_factory.mktemp("ways-corpus"))
    genders = [f"v{n:02d}\t{'fm'[n % 2]}\t{20 + n}" for n in range(17)]
    (folder / "speakers.tsv").write_text("\n".join(["speaker\tgender\tage", *genders]) + "\n")
    return folder


@pytest.fixture(scope="module")
def tiny(home, corpus):
    return untrained_search.make_search(home, corpus, "night")


@pytest.fixture
def store(tiny):
    return Store.open(Path(tiny.ledger.state().search.store))


@pytest.fixture
def evaluated(tiny, corpus, tmp_path):
    """Evaluates t0003 by a protocol; the folder is new each time."""
    assert tiny.name == "night"

    def call(protocol=DEFAULT, analysis=evaluate.NO_ANALYSIS, pairs=DEV, out="o"):
        return evaluate.evaluate(
            "night/t0003", corpus, pairs, out=tmp_path / out, protocol=protocol, analysis=analysis
        )

    return call


def scores_in(report, name="scores.txt"):
    return score_files.read(report.folder / name, "ours").scores


def embedded(store, names, crops=None):
    return embed_and_score.embed(untrained_search.random_encoder(4), store, names, crops=crops)


@pytest.mark.parametrize("backend", ["cosine", "crop_distance"])
def test_crops_are_scored_by_either_backend(evaluated, store, backend):
    report = evaluated(Protocol(crops=3, crop_seconds=0.4, backend=backend))
    names = embed_and_score.utterances_of(store.dev_pairs)
    crops = embedded(store, names, Crops.from_seconds(3, 0.4))
    expected = scoring.score_pairs(crops, store.dev_pairs, backend)
    assert scores_in(report) == pytest.approx(expected, abs=1e-6)
    assert report.document["eer"] == pytest.approx(
        metrics.eer(expected, [pair.target for pair in store.dev_pairs])
    )
    assert report.document["protocol"]["crops"] == 3
    assert "3 crops of 0.4 s" in report.document["scoring"]
    assert any("3 crops of 0.4 s" in line for line in evaluate.format_summary(report))


@pytest.mark.parametrize("norm", ["as_norm1", "as_norm2"])
@pytest.mark.parametrize("subtract", [True, False])
def test_scores_are_normalised_by_the_speakers_of_the_training_list(
    evaluated, store, norm, subtract
):
    report = evaluated(Protocol(norm=norm, top=4, subtract_mean=subtract))
    training = embedded(store, store.of_split("train"))
    mean = mean_of(training) if subtract else None
    cohort = speaker_cohort(training, store.speaker, mean)
    selection = "own" if norm == "as_norm1" else "cross"
    back_end = BackEnd(mean=mean, cohort=cohort, top=4, selection=selection)
    dev = embedded(store, embed_and_score.utterances_of(store.dev_pairs))
    assert scores_in(report) == pytest.approx(back_end.score(dev, store.dev_pairs), abs=1e-5)
    cohort_facts = report.document["learnt"]["cohort"]
    assert (cohort_facts["members"], cohort_facts["top"], cohort_facts["ddof"]) == (6, 4, 0)
    said = report.document["scoring"]
    assert f"AS-norm{norm[-1]}" in said
    assert ("back-end training" in said) == subtract


def test_a_cohort_may_be_a_list_of_utterances(evaluated, store, tmp_path):
    listed = store.of_split("train")[2:12]
    (tmp_path / "strangers.txt").write_text("\n".join(listed) + "\n")
    report = evaluated(Protocol(norm="as_norm1", cohort=tmp_path / "strangers.txt"))
    cohort = utterance_cohort(embedded(store, listed))
    dev = embedded(store, embed_and_score.utterances_of(store.dev_pairs))
    expected = BackEnd(cohort=cohort, top=10).score(dev, store.dev_pairs)
    assert scores_in(report) == pytest.approx(expected, abs=1e-5)
    again = evaluated(Protocol(norm="as_norm1", cohort=Path("train_list.txt")), out="p")
    assert again.document["learnt"]["cohort"]["members"] == 24


@pytest.mark.usefixtures("tiny")
def test_a_cohort_that_knows_the_pairs_speakers_is_refused(evaluated, store, tmp_path):
    (tmp_path / "c.txt").write_text("\n".join([*store.of_split("train"), "wav/v07/0.wav"]))
    with pytest.raises(UsageError, match=r"c\.txt and the pairs of .* share 1 speakers \(v07\)"):
        evaluated(Protocol(norm="as_norm1", cohort=tmp_path / "c.txt"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wav/v00/0.wav\nwav/v00/9.wav", "c.txt:2: wav/v00/9.wav is not an utterance"),
        ("v01 wav/v00/0.wav", "c.txt:1: wav/v00/0.wav is of speaker v00"),
        ("wav/v00/0.wav\nwav/v00/0.wav", "c.txt:2: .* already on line 1"),
        ("v00 wav/v00/0.wav 3", "c.txt:1: a line of a cohort is"),
    ],
)
def test_a_wrong_line_of_a_cohort_is_named(evaluated, tmp_path, text, words):
    (tmp_path / "c.txt").write_text(text)
    with pytest.raises(ListError, match=words):
        evaluated(Protocol(norm="as_norm2", cohort=tmp_path / "c.txt"))


def test_calibrated_scores_are_those_of_a_line_fitted_elsewhere(evaluated, store, corpus):
    of_train = corpus / "train_pairs.txt"
    train = store.of_split("train")
    of_train.write_text(
        "".join(
            f"{int(store.speaker(a) == store.speaker(b))} {a} {b}\n"
            for n, a in enumerate(train)
            for b in train[:n]
        )
    )
    report = evaluated(analysis=AnalysisRequest(calibrate_on=Path("train_pairs.txt"), prior=0.1))
    found = report.document["calibration"]
    raw, llrs = scores_in(report), scores_in(report, "scores_calibrated.txt")
    assert llrs == pytest.approx(found["scale"] * raw + found["offset"])
    targets = [pair.target for pair in store.dev_pairs]
    assert found["cllr"] == pytest.approx(calibration.cllr(llrs, targets))
    assert found["act_dcf_p05"] == pytest.approx(calibration.act_dcf(llrs, targets, p_target=0.05))
    assert found["min_cllr"] <= found["cllr"]
    assert found["min_cllr"] == pytest.approx(report.document["min_cllr"])
    assert found["list"]["name"] == "train_pairs.txt"
    pairs = read_pairs(of_train)
    raw_there = scoring.score_pairs(embedded(store, train), pairs)
    fitted = calibration.fit(raw_there, [pair.target for pair in pairs], 0.1)
    assert (found["scale"], found["offset"]) == pytest.approx(
        (fitted.scale, fitted.offset), rel=1e-3
    )
    assert "calibrated on train_pairs.txt" in "\n".join(evaluate.format_summary(report))


def test_pairs_that_judge_or_share_speakers_never_calibrate(evaluated):
    with pytest.raises(UsageError, match=r"shares 6 speakers with valid_trials\.txt"):
        evaluated(analysis=AnalysisRequest(calibrate_on=DEV))
    with pytest.raises(UsageError, match="judge and never teach"):
        evaluated(analysis=AnalysisRequest(calibrate_on=TEST))
    with pytest.raises(UsageError, match="--calibrate-on: no list of pairs nowhere"):
        evaluated(analysis=AnalysisRequest(calibrate_on=Path("nowhere")))


def test_figures_are_given_by_column_and_by_speaker(evaluated):
    report = evaluated(analysis=AnalysisRequest(by="gender,age:27.5/29,duration", worst=3))
    gender, age, duration = report.document["by"]
    assert [each["name"] for each in gender["slices"]] == [
        "gender=f",
        "gender=m",
        "gender same",
        "gender different",
    ]
    of_f, _, same, different = gender["slices"]
    # Six dev speakers v06 to v11 of four utterances, half of each gender.
    assert (of_f["pairs"], of_f["targets"], of_f["speakers"]) == (66, 18, 3)
    assert of_f["eer"] is None
    assert of_f["why_not"] == "18 target pairs, 30 needed; 3 speakers, 5 needed"
    assert same["pairs"] + different["pairs"] == 276
    assert same["eer"] is not None
    assert same["eer_low"] <= same["eer"] <= same["eer_high"]
    assert different["why_not"] == "no target pair, 30 needed"
    names = [each["name"] for each in age["slices"]]
    assert names == ["age<27.5", "27.5<=age<29", "age>=29", "age same", "age different"]
    assert sum(each["pairs"] for each in duration["slices"]) == 276
    assert len(duration["slices"]) == 3
    worst = report.document["worst_speakers"]
    assert (worst["ranked"], len(worst["speakers"])) == (6, 3)
    assert {each["speaker"] for each in worst["speakers"]} <= {f"v{n:02d}" for n in range(6, 12)}
    text = "\n".join(evaluate.format_summary(report))
    assert "the sides differ; no EER: no target pair, 30 needed" in text
    assert "worst 3 of the 6 speakers" in text
    assert json.loads((report.folder / "report.json").read_text()) == report.document


def test_a_speaker_without_a_line_is_unknown(evaluated):
    report = evaluated(analysis=AnalysisRequest(by="gender"), pairs=TEST)
    (gender,) = report.document["by"]
    assert gender["unknown_pairs"] == 276 - 190  # v17 is not in the table: 4 of 24 utterances


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("gendr", "no column 'gendr'; did you mean 'gender'"),
        ("snr_db", "no column 'snr_db'; known are duration, gender, age"),
        ("gender:1/2", "takes no edges"),
        ("duration:2/1", r"--by duration:2/1: edges are rising numbers"),
        ("duration:", "edges are rising numbers"),
        ("age:x", "edges are rising numbers"),
    ],
)
def test_a_column_that_there_is_not_is_told_which_there_are(evaluated, by, words):
    with pytest.raises(UsageError, match=words):
        evaluated(analysis=AnalysisRequest(by=by))


def test_a_second_file_of_scores_is_in_another_tools_form(evaluated, store):
    report = evaluated(analysis=AnalysisRequest(score_format="wespeaker"))
    other = score_files.read(report.folder / "scores_wespeaker.txt", "wespeaker")
    assert np.abs(other.scores_of(store.dev_pairs) - scores_in(report)).max() <= 0.5e-5
    exact = evaluated(analysis=AnalysisRequest(score_format="lab", exact_scores=True), out="p")
    found = score_files.read(exact.folder / "scores_lab.txt", "lab")
    assert np.array_equal(found.scores_of(store.dev_pairs), scores_in(exact))


def test_another_systems_scores_are_compared_on_the_same_pairs(evaluated, tmp_path):
    whole = evaluated()
    crops = evaluated(
        Protocol(crops=2, crop_seconds=0.3),
        AnalysisRequest(against=whole.folder / "scores.txt"),
        out="p",
    )
    found = crops.document["against"]
    assert found["eer"] == whole.document["eer"]
    assert found["difference"] == pytest.approx(crops.document["eer"] - whole.document["eer"])
    assert found["difference_low"] <= found["difference_high"]
    assert "against" in "\n".join(evaluate.format_summary(crops))
    (tmp_path / "few").write_text("1 wav/v06/0.wav wav/v06/1.wav 0.5\n")
    with pytest.raises(ListError, match=r"no score of .* \(275 of 276 pairs have none\)"):
        evaluated(analysis=AnalysisRequest(against=tmp_path / "few"), out="q")


def test_another_protocol_is_another_evaluation_and_another_look(evaluated, tiny):
    evaluated(pairs=TEST)
    assert evaluated(pairs=TEST).document["looks"] == 0
    crops = Protocol(crops=2, crop_seconds=0.3)
    with pytest.raises(UsageError, match="choose another --out"):
        evaluated(crops, pairs=TEST)
    second = evaluated(crops, pairs=TEST, out="p")
    assert second.document["looks"] == 1
    assert evaluated(crops, pairs=TEST, out="p").document["looks"] == 1
    events = tiny.ledger.state().evaluations
    mine = [event.protocol for event in events]
    assert mine == ["default", "2x0.3s"]
    assert set(events[1].metrics) >= {"test_2x0.3s_eer", "test_2x0.3s_min_dcf_p05"}


def test_a_look_from_before_there_were_protocols_is_one_by_the_default(tmp_path):
    with Ledger.open(tmp_path / "x" / "ledger.jsonl", write=True) as ledger:
        fields = {"list": {"sha256": "L"}, "sha256": "a", "conditions": ["clean"]}
        append(ledger, "evaluated", trial="t0001", metrics={}, **fields)
        assert access_record.count_accesses_before(ledger, "L", "a", "clean") == (0, True)
        assert access_record.count_accesses_before(
            ledger, "L", "a", "clean", Protocol(crops=2)
        ) == (1, False)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--crop-seconds", "3"], "--crop-seconds says how long each of --crops N is"),
        (["--eval-frames", "300"], "--eval-frames says how long each of --crops N is"),
        (["--crops", "2", "--crop-seconds", "1", "--eval-frames", "99"], "give one"),
        (["--crops", "2"], "crops of 4.015 s: no utterance of valid_trials.txt is as long"),
        (["--crops", "2", "--crop-seconds", "0.01"], "a crop lasts 0.1 to 60 seconds, got 0.01"),
        (["--crops", "101"], "--crops must be at most 100"),
        (["--top", "5"], "--cohort and --top belong to --norm"),
        (["--norm", "as_norm1", "--top", "7"], "--top 7: the cohort of the training list has 6"),
        (["--norm", "as_norm1", "--backend", "crop_distance"], "takes --backend cosine"),
        (["--norm", "as_norm1", "--cohort", "nowhere"], "--cohort: no list nowhere"),
        (["--prior", "0.1"], "--prior belongs to --calibrate-on"),
        (["--prior", "2", "--calibrate-on", "x"], "--prior must lie between 0 and 1, got 2"),
        (["--exact-scores"], "--exact-scores is for the forms that round"),
        (["--score-format", "kaldi", "--exact-scores"], "kaldi keeps every digit"),
        (["--against", "nowhere"], "--against: no file of scores nowhere"),
        (["--by", "gander"], "did you mean 'gender'"),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_what_cannot_be_is_one_message_and_exit_code_2(corpus, capsys, flags, words):
    line = ["evaluate", "night/t0003", "--corpus", str(corpus), "--pairs", "valid_trials.txt"]
    assert run([*line, *flags]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


@pytest.mark.usefixtures("tiny")
def test_every_way_at_once_from_the_command_line(corpus, capsys, tmp_path):
    flags = ["--crops", "2", "--crop-seconds", "0.3", "--norm", "as_norm2", "--subtract-mean"]
    flags += ["--by", "gender", "--worst", "2", "--score-format", "kaldi", "--json"]
    line = ["evaluate", "night/t0003", "--corpus", str(corpus), "--pairs", "valid_trials.txt"]
    assert run([*line, "--out", str(tmp_path / "o"), *flags]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "spksearch.evaluation/2"
    assert document["protocol"]["norm"] == "as_norm2"
    assert document["learnt"]["mean_of_utterances"] == 24
    assert (tmp_path / "o" / "scores_kaldi.txt").is_file()
