"""Options of voxceleb_trainer become a config of ours, and its traps are named."""

import json
import re
import shlex
from pathlib import Path

import pytest

from search.cli.app import run
from search.core.errors import UsageError
from search.importers.voxceleb_trainer import conversion, space_file
from search.importers.voxceleb_trainer.options import parse_options
from search.space import loader
from spkmodel.config import (
    GE2E,
    SGD,
    AAMSoftmax,
    Adam,
    AMSoftmax,
    AngularPrototypical,
    Augment,
    Babble,
    Batches,
    Combined,
    LinearMel,
    LogMel,
    Prototypical,
    RawNet3,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    Softmax,
    StepDecay,
    TrainConfig,
    Triplet,
    VGGVox,
    Weighted,
)
from tests.support import tone_corpus

# The lab report's own lines.
LITE = """!python ./trainSpeakerNet.py --eval --model ResNetSE34L --log_input True \\
          --trainfunc angleproto --save_path exps/test_lite --eval_frames 400 \\
          --test_list lists/veri_test.txt \\
          --initial_model pretrained_models/baseline_lite_ap.model"""
V2 = """!python ./trainSpeakerNet.py --eval --model ResNetSE34V2 --log_input True \\
  --encoder_type ASP --n_mels 64 --trainfunc softmaxproto \\
  --save_path exps/test_v2 --eval_frames 400 --test_list lists/veri_test.txt \\
  --initial_model pretrained_models/baseline_v2_ap.model"""
MODEL1 = """!python ./trainSpeakerNet.py \\
    --model ResNetSE34L \\
    --encoder_type SAP \\
    --trainfunc amsoftmax \\
    --save_path mytrained_models/model1 \\
    --batch_size 200 \\
    --scale 30 \\
    --margin 0.3 \\
    --nClasses 4953 \\
    --train_list lists/train_list.txt \\
    --test_list lists/veri_test.txt \\
    --max_epoch 10"""
OWN = """!python ./trainSpeakerNet.py --eval --model ResNetSE34L \\
    --encoder_type SAP --trainfunc amsoftmax \\
    --save_path exps/mymodel_1 --eval_frames 400 --test_list lists/veri_test.txt \\
    --initial_model mytrained_models/mytrained_models/model1/model/model000000100.model"""
TRIPLETS = """!python trainSpeakerNet.py \\
   --model ResNetSE34Half \\
   --encoder_type SAP \\
   --trainfunc triplet \\
   --save_path mytrained_models/triplets \\
   --batch_size 20 \\
   --scale 30 \\
   --margin 0.3 \\
   --nClasses 4953 \\
   --train_list lists/train_list.txt \\
   --test_list lists/veri_test.txt \\
   --max_epoch 30"""


def taken(line, speakers=None, edition=None):
    return conversion.convert_training(parse_options([line], edition=edition), speakers)


def config_of(options, edition="2026"):
    return taken(
        f"--model ResNetSE34L --trainfunc softmax --log_input {options}", None, edition
    ).config


def remarks_of(found, kind, option=None):
    return [r.text for r in found.remarks if r.kind == kind and option in (None, r.option)]


def yaml(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def from_yaml(tmp_path, text, command=()):
    return conversion.convert_training(parse_options(list(command), yaml(tmp_path, text)))


# --- the lab report -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (
            LITE,
            "spksearch evaluate pretrained_models/baseline_lite_ap.model --corpus vox "
            "--pairs veri_test.txt --crops 10 --backend crop_distance --int16-scale",
        ),
        (
            V2,
            "spksearch evaluate pretrained_models/baseline_v2_ap.model --corpus vox "
            "--pairs veri_test.txt --crops 10 --backend crop_distance --int16-scale",
        ),
        (
            OWN,
            "spksearch evaluate mytrained_models/mytrained_models/model1/model/"
            "model000000100.model --corpus vox --pairs veri_test.txt --crops 10 "
            "--backend crop_distance --no-log-input --int16-scale",
        ),
    ],
)
def test_the_labs_evaluations_become_ours(line, command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = ["--trainer", "2020"] if line == OWN else []
    assert run(["import-voxceleb-trainer", *trainer, "--", line]) == 0
    assert capsys.readouterr().out.strip() == command.replace("--corpus vox", "--corpus DIR")


def test_the_labs_training_becomes_a_config(capsys):
    found = taken(MODEL1)
    assert found.config == TrainConfig(
        encoder=ResNetSE34L(features=LinearMel(), embedding_dim=512),
        loss=AMSoftmax(margin=0.3, scale=30),
        batches=Batches(
            speakers=200, utterances=1, crop_seconds=2.015, max_utterances_per_speaker=500
        ),
        optimiser=Adam(learning_rate=1e-3, decayed="all"),
        schedule=StepDecay(every_epochs=10, factor=0.95),
        gradient_clip=None,
        seed=10,
    )
    assert found.epochs == 10
    assert "17.6 % EER" in remarks_of(found, "misleads", "log_input")[0]
    early = taken(MODEL1, edition="2020").config
    assert early.batches.max_utterances_per_speaker == 100
    assert run(["import-voxceleb-trainer", "--", MODEL1]) == 0
    assert json.loads(capsys.readouterr().out) == found.config.model_dump(mode="json")


def test_the_labs_triplets_fail_there_by_name_and_work_here():
    found = taken(TRIPLETS)
    assert found.config.encoder == ResNetSE34Half(features=LinearMel())
    assert found.config.loss == Triplet(
        margin=0.3, distance="squared", mining="rank", hard_rank=10, hard_probability=0.5
    )
    assert found.config.batches.speakers == 20
    assert found.config.batches.utterances == 2
    said = remarks_of(found, "fails", "nPerSpeaker")
    assert len(said) == 1
    assert "assert x.size()[1] == 2" in said[0]
    assert "nPerSpeaker 2" in said[0]


PAGE = Path(__file__).parents[4] / "docs" / "voxceleb_trainer.md"


def test_every_line_of_the_trainer_on_the_page_stands_before_what_it_becomes(capsys):
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text(), re.DOTALL)
    theirs = [place for place, block in enumerate(blocks) if block.startswith("python ")]
    assert len(theirs) == 5
    for place in theirs:
        words = shlex.split(blocks[place].replace("\\\n", " "))
        assert run(["import-voxceleb-trainer", "--trainer", "2020", "--", *words]) == 0
        out, err = capsys.readouterr()
        ours = blocks[place + 1]
        if "--eval" in words:
            assert " ".join(ours.replace("\\\n", " ").split()) == out.strip()
        else:
            name = re.search(r"--space (\w+)\.py", ours)[1]
            launch = next(line for line in err.splitlines() if "spksearch launch" in line)
            assert launch.strip().replace("mine", name) in ours


def test_the_lines_on_the_page_are_the_lab_reports():
    text = " ".join(PAGE.read_text().replace("\\\n", " ").split())
    for line in (LITE, V2, MODEL1, OWN, TRIPLETS):
        assert " ".join(line.lstrip("!").replace("\\\n", " ").split()) in text


# --- models, losses, optimisers, data -------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "encoder"),
    [
        ("", ResNetSE34L(features=LogMel(normalisation="instance"))),
        (
            "--model ResNetSE34V2 --n_mels 64 --encoder_type ASP --nOut 256",
            ResNetSE34V2(
                features=LogMel(mels=64, normalisation="instance", pre_emphasis=0.97),
                pooling="asp",
                embedding_dim=256,
            ),
        ),
        ("--model VGGVox --encoder_type TAP", VGGVox(pooling="mean")),
        ("--model VGGVox --encoder_type MAX", VGGVox(pooling="max")),
        (
            "--model RawNet3 --encoder_type ECA --nOut 256 --sinc_stride 16",
            RawNet3(pooling="eca", embedding_dim=256, sinc_stride=16),
        ),
    ],
)
def test_every_network_has_its_config(options, encoder):
    assert config_of(options).encoder == encoder


@pytest.mark.parametrize(
    ("options", "loss", "utterances"),
    [
        ("--trainfunc softmax", Softmax(), 1),
        ("--trainfunc amsoftmax --margin 0.2", AMSoftmax(margin=0.2, scale=30), 1),
        ("--trainfunc aamsoftmax", AAMSoftmax(margin_rad=0.1, fallback="sine_line"), 1),
        ("--trainfunc angleproto --nPerSpeaker 3", AngularPrototypical(), 3),
        ("--trainfunc proto --nPerSpeaker 2", Prototypical(), 2),
        ("--trainfunc ge2e --nPerSpeaker 2", GE2E(floor_cosines=True), 2),
        (
            "--trainfunc softmaxproto --nPerSpeaker 2",
            Combined(terms=(Weighted(loss=Softmax()), Weighted(loss=AngularPrototypical()))),
            2,
        ),
        (
            "--trainfunc triplet --nPerSpeaker 2 --hard_rank -1 --margin 0.5",
            Triplet(margin=0.5, distance="squared", mining="random_semi_hard"),
            2,
        ),
    ],
)
def test_every_loss_has_its_config(options, loss, utterances):
    config = config_of(options)
    assert config.loss == loss
    assert config.batches.utterances == utterances


def test_optimiser_schedule_crops_and_augmentation_come_along():
    config = config_of(
        "--optimizer sgd --lr 0.2 --weight_decay 5e-5 --lr_decay 0.75 --test_interval 5 "
        "--max_frames 300 --max_seg_per_spk 250 --augment --mixedprec --seed 3"
    )
    assert config.optimiser == SGD(learning_rate=0.2, momentum=0.9, l2=5e-5, decayed="all")
    assert config.schedule == StepDecay(every_epochs=5, factor=0.75)
    assert config.batches.crop_seconds == (300 * 160 + 240) / 16_000
    assert config.batches.max_utterances_per_speaker == 250
    assert config.augment == Augment(
        room_probability=0.2, babble=Babble(), noise_probability=0.4, snr_db_low=0, snr_db_high=15
    )
    assert config.precision == "bfloat16"
    assert config.seed == 3


# --- editions and their parser --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "edition"),
    [
        ("--log_input True", "2020"),
        ("--log_input True --mixedprec", "2021"),
        ("--log_input", "2026"),
        ("--gpu_id 1", "2026"),
        ("--model ResNetSE34Half", "2020"),
        ("--model RawNet3", "2026"),
        ("--nOut 512", "2026"),
    ],
)
def test_the_edition_is_read_off_how_options_are_written(line, edition):
    assert parse_options(line.split()).edition == edition


def test_defaults_are_those_of_the_edition():
    early, late = (parse_options(["--nOut", "64"], edition=edition) for edition in ("2020", "2026"))
    assert (early["margin"], early["scale"], early["max_seg_per_spk"]) == (1, 15, 100)
    assert (late["margin"], late["scale"], late["max_seg_per_spk"]) == (0.1, 30, 500)
    assert "seed" not in early.values


def test_an_unknown_edition_is_said_with_what_hangs_on_it():
    said = [r.text for r in parse_options(["--nOut", "64", "--margin", "0.3"]).remarks]
    assert any(
        "scale 15, " not in text and "max_seg_per_spk 100, scale 15" in text for text in said
    )


def test_abbreviations_are_completed_as_its_parser_does():
    assert parse_options(shlex.split("--encoder ASP --log_input True"))["encoder_type"] == "ASP"


@pytest.mark.parametrize("word", ["False", "false", "0"])
def test_any_word_means_true_on_its_early_command_line(word):
    options = parse_options(
        ["--log_input", word, "--model", "ResNetSE34L", "--trainfunc", "softmax"]
    )
    assert options["log_input"] is True
    found = conversion.convert_training(options)
    assert found.config.encoder.features.kind == "log_mel"
    assert f"--log_input {word} means True there" in remarks_of(found, "misleads", "log_input")[0]


def test_since_2026_a_switch_takes_no_value():
    options = parse_options(["--log_input", "True", "--nOut", "8"], edition="2026")
    assert any("take no value: it stops at 'True'" in r.text for r in options.remarks)


# --- YAML -----------------------------------------------------------------------------------------

AM_YAML = """\
model: ResNetSE34L
log_input: True
encoder_type: SAP
trainfunc: amsoftmax
save_path: exps/ResNetSE34L_AM
nLcasses: 5994
batch_size: 200
scale: 30
margin: 0.3
"""


def test_the_shipped_typo_is_named_with_what_was_meant(tmp_path):
    found = from_yaml(tmp_path, AM_YAML)
    (said,) = remarks_of(found, "misleads", "nLcasses")
    assert "is ignored" in said
    assert "nClasses is meant" in said
    assert found.config.loss == AMSoftmax(margin=0.3, scale=30)
    assert isinstance(found.config.encoder.features, LogMel)


def test_the_yaml_file_overrides_the_command_line_and_that_is_said(tmp_path):
    found = from_yaml(tmp_path, AM_YAML, ["--margin", "0.2", "--nOut", "64"])
    assert found.config.loss.margin == 0.3
    assert found.config.encoder.embedding_dim == 64
    assert (
        "says 0.2, but the YAML file overrides it: 0.3"
        in remarks_of(found, "misleads", "margin")[0]
    )


def test_a_config_that_the_command_line_names_is_read(tmp_path):
    path = yaml(tmp_path, AM_YAML)
    assert parse_options(["trainSpeakerNet.py", "--config", str(path)])["trainfunc"] == "amsoftmax"


def test_values_are_converted_as_the_trainer_converts_them(tmp_path):
    text = AM_YAML + "weight_decay: 5e-05\nnPerSpeaker: 1.7\naugment: 'False'\n"
    found = from_yaml(tmp_path, text)
    assert found.config.optimiser.l2 == 5e-5
    assert found.config.batches.utterances == 1
    assert remarks_of(found, "misleads", "nPerSpeaker") == ["nPerSpeaker: 1.7 becomes 1"]
    assert found.config.augment.room_probability == 0.2
    assert "every word is true" in remarks_of(found, "misleads", "augment")[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: [a, b]\n", "list of `option: value` lines"),
        ("- model\n", "list of `option: value` lines"),
        ("model: a\nmodel: b\n", "model is there twice"),
        ("model: !!python/object/apply:os.system ['true']\n", "not a YAML file that can be used"),
        ("model: 'a\n", "not a YAML file that can be used"),
        ("batch_size: many\n", "batch_size: 'many' is not int"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, text, says):
    with pytest.raises(UsageError) as caught:
        parse_options([], yaml(tmp_path, text))
    assert says in str(caught.value)


# --- traps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "option", "says"),
    [
        ("--trainfunc angleproto", "fails", "nPerSpeaker", "assert x.size()[1] >= 2"),
        ("--trainfunc softmaxproto --nPerSpeaker 3", "fails", "nPerSpeaker", "here 3 are fine"),
        ("--nPerSpeaker 2", "fails", "nPerSpeaker", "softmax takes one embedding a label"),
        ("--trainfunc triplet --nPerSpeaker 2", "fails", "trainfunc", "with torch 2"),
        ("--trainfunc proto --nPerSpeaker 2", "misleads", "trainfunc", "another axis"),
        (
            "--trainfunc triplet --nPerSpeaker 2 --batch_size 8",
            "fails",
            "hard_rank",
            "a batch of 8 has 7: IndexError; 6 is taken",
        ),
        ("--model ResNetSE34V2 --n_mels 44", "fails", "n_mels", "divisible by 8, 40 is taken here"),
        ("--model VGGVox --n_mels 64", "misleads", "n_mels", "VGGVox ignores n_mels 64"),
        ("--model RawNet3", "fails", "encoder_type", "it has ECA, ASP, ECA is taken here"),
        ("--test_interval 1", "misleads", "test_interval", "how often the learning rate falls"),
        (
            "--nPerSpeaker 2 --trainfunc ge2e",
            "differs",
            "batch_size",
            "200 with nPerSpeaker 2 are 400",
        ),
        ("--augment", "misleads", "augment", "the SNR is off by 3 dB"),
        ("--seed 1", "misleads", "seed", "the order of utterances alone"),
        ("--scale 20", "dropped", "scale", "scale has no effect with softmax"),
        ("--nLcasses 7", "fails", "nLcasses", "stops at it; nClasses is meant"),
        ("--initial_model x.model", "dropped", "initial_model", "`spksearch evaluate` reads it"),
        ("--distributed", "differs", "distributed", "for each GPU"),
        ("--dcf_p_target 0.01", "dropped", "dcf_p_target", "at 0.01 and 0.05"),
        ("--trainfunc amsoftmax --margin 1", "misleads", "margin", "0.3 is taken here"),
    ],
)
def test_what_would_have_gone_wrong_is_said(options, kind, option, says):
    found = taken(f"--model ResNetSE34L --trainfunc softmax --log_input {options}", None, "2026")
    said = remarks_of(found, kind, option)
    assert len(said) == 1
    assert says in said[0]


@pytest.mark.parametrize(
    ("speakers", "kind", "option", "says"),
    [
        (6000, "fails", "nClasses", "less than the 6000 speakers"),
        (100, "misleads", "batch_size", "more than the 100 speakers"),
        (5000, "dropped", "nClasses", "has 994 rows of weights"),
    ],
)
def test_with_a_corpus_its_speakers_are_counted(speakers, kind, option, says):
    found = taken("--model ResNetSE34L --trainfunc softmax --log_input", speakers)
    assert any(says in text for text in remarks_of(found, kind, option))


def test_a_training_without_a_trap_has_nothing_to_be_said():
    line = "--model ResNetSE34L --trainfunc ge2e --log_input --nPerSpeaker 2"
    assert [r.kind for r in taken(line, None, "2026").remarks] == ["differs"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--model ResNet34L --trainfunc softmax", "did you mean ResNetSE34L"),
        ("--model ResNetSE34 --trainfunc softmax", "thin ResNet-34"),
        ("--model ResNetSE34L --trainfunc amsotfmax", "did you mean amsoftmax"),
        ("--model ResNetSE34L", "trainfunc is not given"),
        ("--model ResNetSE34L --trainfunc softmax --optimizer lion", "it has adam, sgd"),
        (
            "--model ResNetSE34L --trainfunc softmax --max_frames 9000",
            "crop_seconds: input should be",
        ),
        ("--batch_size many", "invalid int value: 'many'"),
        ("--n 3", "ambiguous option"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_with_a_hint(options, says):
    with pytest.raises(UsageError) as caught:
        taken(options)
    assert says in str(caught.value)


# --- the space and the verb -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        "--model ResNetSE34V2 --n_mels 64 --encoder_type ASP --trainfunc softmaxproto "
        "--nPerSpeaker 2 --log_input --augment",
        "--model RawNet3 --encoder_type ECA --trainfunc aamsoftmax --optimizer sgd",
    ],
)
def test_the_space_file_is_the_config(tmp_path, options):
    config = taken(options).config
    path = tmp_path / "mine.py"
    path.write_text(space_file.format_space(config, "Is it better here?"))
    space = loader.load(str(path))
    (branch,) = loader.branches(space)
    assert branch.config == config
    assert space.question == "Is it better here?"


def test_the_verb_writes_a_space_and_counts_a_corpus(tmp_path, capsys):
    corpus = tone_corpus.write_corpus(tmp_path / "corpus")
    path = tmp_path / "mine.py"
    line = ["import-voxceleb-trainer", "--space", str(path), "--corpus", str(corpus)]
    assert run([*line, "--json", "--", TRIPLETS]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["config"]["batches"]["speakers"] == 6
    assert document["edition"] == "2020"
    assert document["commands"][0] == (
        f"spksearch launch {path} --corpus {corpus} --trials 1 --max-epochs 30"
    )
    (branch,) = loader.branches(loader.load(str(path)))
    assert branch.config.model_dump(mode="json") == document["config"]
    assert run([*line, "--", TRIPLETS]) == 0
    assert run([*line, "--", MODEL1]) == 2
    assert "is there and is another" in capsys.readouterr().err


def test_the_verb_takes_a_file_and_needs_one_of_both(tmp_path, capsys):
    assert run(["import-voxceleb-trainer", str(yaml(tmp_path, AM_YAML))]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["loss"]["kind"] == "am_softmax"
    assert "would have gone wrong there unnoticed:\n  nLcasses" in err
    assert run(["import-voxceleb-trainer"]) == 2
    assert run(["import-voxceleb-trainer", str(tmp_path / "none.yaml")]) == 2
