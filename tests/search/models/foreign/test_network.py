"""A checkpoint of voxceleb_trainer is read, tensors alone, and gives its own embeddings."""

import io
import json
import os
import pickle
import tarfile
import zipfile

import pytest
import torch

from search.cli.app import run
from search.core.errors import UsageError
from search.models import loader
from search.models.foreign import network, weight_names
from search.models.foreign.architecture import Reading
from spkmodel.config import LinearMel, LogMel
from spkmodel.nn import encoders
from tests.support import tone_corpus
from tests.support.models import trainer_state as trainer

CASES = {
    "resnet_l_sap": (trainer.resnet_l, {}, Reading()),
    "resnet_l_asp_linear": (
        trainer.resnet_l,
        {"mels": 64, "encoder": "ASP"},
        Reading(log_input=False),
    ),
    "resnet_v2_asp": (trainer.resnet_v2, {}, Reading()),
    "resnet_v2_sap": (trainer.resnet_v2, {"mels": 40, "encoder": "SAP"}, Reading()),
    "vggvox_sap": (trainer.vggvox, {}, Reading()),
    "vggvox_max": (trainer.vggvox, {"encoder": "MAX"}, Reading(vggvox_pooling="max")),
    "vggvox_mean": (trainer.vggvox, {"encoder": "TAP"}, Reading(vggvox_pooling="mean")),
    "rawnet3_eca": (trainer.rawnet3, {}, Reading()),
    "rawnet3_asp_stride": (trainer.rawnet3, {"encoder": "ASP"}, Reading(sinc_stride=16)),
}

# The trainer's own networks with the weights of `trainer_state`, in evaluation mode: the embedding
# of one of its waveforms, read as +-1 and as +-32768. The quiet one with a gap, where log mels feel
# the scale most; RawNet3's filters leave nothing but rounding of a gap, so the first.
EMBEDDINGS = {
    "resnet_l_sap": (
        (-0.045882, 0.326272, -0.066770, -0.301651, -0.233066, 0.354419),
        (-0.083442, 0.339711, -0.006513, -0.296867, -0.258989, 0.370867),
    ),
    "resnet_l_asp_linear": (
        (0.011036, 0.426266, -0.277579, 0.181446, -0.156935, 0.241078),
        (-0.001649, 0.434754, -0.239425, 0.313518, -0.156607, 0.120259),
    ),
    "resnet_v2_asp": (
        (-0.300170, 0.263931, 0.756586, -0.611894, 0.297501, -0.062511),
        (-0.436215, 0.256284, 0.994550, -0.726621, 0.312596, -0.056585),
    ),
    "resnet_v2_sap": (
        (0.322079, 0.527353, 0.219647, -0.057109, 0.470177, 0.543376),
        (0.435724, 0.296997, 0.306669, -0.059926, 0.499210, 0.576968),
    ),
    "vggvox_sap": (
        (0.185794, 1.248084, -1.303648, -0.635234, 0.027913, -0.607419),
        (0.161845, 1.257769, -1.428968, -0.650392, -0.045014, -0.604786),
    ),
    "vggvox_max": (
        (0.187631, 1.403433, -1.520916, -0.634503, 0.075052, -0.625857),
        (0.191646, 1.395519, -1.583760, -0.620917, 0.065375, -0.658048),
    ),
    "vggvox_mean": (
        (0.185435, 1.209117, -1.247848, -0.651587, 0.049475, -0.638997),
        (0.182491, 1.213601, -1.315495, -0.667069, 0.018895, -0.657204),
    ),
    "rawnet3_eca": (
        (-1.464047, 1.190683, -1.323421, 0.187668, 2.234934, -0.347193),
        (-1.472947, 1.187791, -1.345845, 0.176816, 2.231191, -0.340058),
    ),
    "rawnet3_asp_stride": (
        (-1.484082, 1.185079, -1.306353, 0.234971, 2.170644, -0.306369),
        (-1.529523, 1.177044, -1.364221, 0.214852, 2.150710, -0.290544),
    ),
}


def read_state(name):
    make, options, _ = CASES[name]
    return make(**options)


def saved(path, content, **how):
    torch.save(content, path, **how)
    return path


def with_scale(reading, int16):
    return Reading(reading.log_input, int16, reading.vggvox_pooling, reading.sinc_stride)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("int16", [False, True])
def test_embeddings_are_those_of_the_trainers_own_network(tmp_path, name, int16):
    path = saved(tmp_path / "x.model", trainer.speaker_net(read_state(name)))
    found = network.read_network(path, with_scale(CASES[name][2], int16))
    with torch.inference_mode():
        embedding = found.encoder.eval()(trainer.waveforms())[0 if "rawnet3" in name else 1]
    expected = torch.tensor(EMBEDDINGS[name][int16])
    torch.testing.assert_close(embedding, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_every_weight_of_the_trainer_has_its_own_place_and_none_is_left_over(tmp_path, name):
    state = read_state(name)
    found = network.read_network(saved(tmp_path / "x.model", state), CASES[name][2])
    placed, unknown = weight_names.rename_weights(state, found.config)
    assert unknown == []
    constant = [
        n for n in state if "torchfb" in n or "flipped" in n or n.endswith(("window_", "n_"))
    ]
    assert len(placed) == len(state) - len(constant)
    ours = encoders.build(found.config).state_dict()
    assert {n for n in ours if not n.startswith(("front_end.spec", "front_end.mel"))} == set(placed)


def forms(state):
    net = trainer.speaker_net(state, {"w": torch.tensor(10.0), "b": torch.tensor(-5.0)})
    return {
        "bare": net,
        "parallel": {f"module.{name}": tensor for name, tensor in net.items()},
        "inner": {name.replace("__S__.", "__S__.module."): t for name, t in net.items()},
        "whole": {
            "model_state_dict": net,
            "optimizer_state_dict": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": []},
            "scheduler_state_dict": {"last_epoch": 30},
            "epoch": 30,
        },
        "published": {"model": state},
    }


@pytest.mark.parametrize("form", forms({}))
def test_all_forms_of_a_checkpoint_are_one_network(tmp_path, form):
    state = trainer.resnet_l()
    found = network.read_network(saved(tmp_path / "x.model", forms(state)[form]), Reading())
    want = encoders.build(found.config)
    want.load_state_dict(want.state_dict() | weight_names.rename_weights(state, found.config)[0])
    got = found.encoder.state_dict()
    assert all(torch.equal(got[name], tensor) for name, tensor in want.state_dict().items())
    assert found.epoch == (30 if form == "whole" else 0)


@pytest.mark.parametrize(
    ("make", "options", "facts"),
    [
        (trainer.resnet_l, {}, {"kind": "resnet_se_34l", "channels": (8, 16, 24, 32)}),
        (trainer.resnet_l, {"blocks": (1, 3, 2, 1)}, {"blocks": (1, 3, 2, 1), "pooling": "sap"}),
        (
            trainer.resnet_l,
            {"channels": (32, 64, 128, 256), "encoder": "ASP", "dim": 9},
            {"kind": "resnet_se_34_half", "pooling": "asp", "embedding_dim": 9},
        ),
        (trainer.resnet_v2, {"mels": 40}, {"kind": "resnet_se_34_v2", "pooling": "asp"}),
        (trainer.vggvox, {"dim": 16}, {"kind": "vggvox", "pooling": "sap", "embedding_dim": 16}),
        (
            trainer.rawnet3,
            {"channels": 64, "scale": 4, "encoder": "ASP"},
            {"kind": "rawnet3", "channels": 64, "scale": 4, "pooling": "asp"},
        ),
    ],
)
def test_the_network_is_read_off_its_weights(tmp_path, make, options, facts):
    found = network.read_network(saved(tmp_path / "x.model", make(**options)), Reading())
    assert {name: getattr(found.config, name) for name in facts} == facts


def test_features_are_the_options_the_weights_cannot_tell(tmp_path):
    path = saved(tmp_path / "x.model", trainer.resnet_v2(mels=64))
    features = network.read_network(path, Reading()).config.features
    assert features == LogMel(mels=64, normalisation="instance", pre_emphasis=0.97)
    features = network.read_network(path, Reading(log_input=False)).config.features
    assert features == LinearMel(mels=64, pre_emphasis=0.97)


def test_the_scale_of_samples_is_told_by_the_age_of_the_file_and_said(tmp_path):
    state = trainer.speaker_net(trainer.resnet_l())
    old = saved(tmp_path / "old.model", state, _use_new_zipfile_serialization=False)
    new = saved(tmp_path / "new.model", state)
    whole = saved(
        tmp_path / "whole.model",
        {"model_state_dict": state, "epoch": 3},
        _use_new_zipfile_serialization=False,
    )
    raw = saved(tmp_path / "raw.pt", trainer.rawnet3(), _use_new_zipfile_serialization=False)
    for path, scale in ((old, "+-32768"), (new, "+-1 "), (whole, "+-1 "), (raw, "+-1 ")):
        notes = network.read_network(path, Reading()).notes
        assert any(f"assumed: trained on samples of {scale}" in note for note in notes)
    said = network.read_network(old, Reading(int16_scale=False)).notes
    assert any(note.startswith("said: trained on samples of +-1") for note in said)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ({"W": torch.zeros(6, 31)}, "amsoftmax, 31 speakers"),
        ({"weight": torch.zeros(31, 6)}, "aamsoftmax, 31 speakers"),
        ({"fc.weight": torch.zeros(31, 6), "fc.bias": torch.zeros(31)}, "softmax, 31 speakers"),
        ({"w": torch.tensor(1.0), "b": torch.tensor(1.0)}, "angleproto or ge2e"),
        ({}, "triplet or proto"),
    ],
)
def test_the_loss_is_named_by_its_weights(tmp_path, loss, says):
    path = saved(tmp_path / "x.model", trainer.speaker_net(trainer.resnet_l(), loss))
    assert any(
        f"trained with {says}" in note for note in network.read_network(path, Reading()).notes
    )


# --- what is refused ------------------------------------------------------------------------------


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def refused(path, reading=None):
    with pytest.raises(UsageError) as caught:
        network.read_network(path, reading or Reading())
    return str(caught.value)


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle 2", "pickle 4"])
def test_nothing_in_a_file_is_run(tmp_path, how):
    path = tmp_path / "x.model"
    content = {"__S__.conv1.weight": Bomb(tmp_path / "it-ran")}
    if how.startswith("pickle"):
        path.write_bytes(pickle.dumps(content, protocol=int(how[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    refused(path)
    assert not (tmp_path / "it-ran").exists()


def test_a_whole_pickled_network_is_told_from_weights(tmp_path):
    path = saved(tmp_path / "x.model", torch.nn.Linear(2, 2))
    assert "what it would run was not run" in refused(path)


def _tar_gz():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz"):
        pass
    return out.getvalue()


def _zip(name):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, b"x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "0 bytes"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        (b"hello", "not a torch file"),
        # The time is in the file: the name of the case must not depend on it.
        pytest.param(_tar_gz(), "an archive; unpack it", id="tar.gz"),
        (_zip("readme.txt"), "without a torch file in it"),
        (_zip("x/constants.pkl"), "a TorchScript program"),
        (b"PK\x03\x04 and no more", "cut short or damaged"),
        (b"\x80\x02}q\x00.", "cut short, damaged or not a torch file"),
        (b"\x20\0\0\0\0\0\0\0" + b'{"a":{"dtype":"F32"}}', "named by its folder"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path, content, says):
    path = tmp_path / "x.model"
    path.write_bytes(content)
    said = refused(path)
    assert says in said
    assert "right is a file that voxceleb_trainer saved" in said


def test_a_file_that_was_cut_short_is_named(tmp_path):
    path = saved(tmp_path / "x.model", trainer.resnet_l())
    path.write_bytes(path.read_bytes()[:-2000])
    assert "cut short or damaged" in refused(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (torch.zeros(3), "holds a tensor, not a network's weights"),
        ({}, "not a network's weights"),
        ({"epoch": 3, "lr": 0.1}, "one int under 'epoch'"),
        ({"mods.embedding_model.w": torch.zeros(2)}, "by their names of SpeechBrain"),
        ({"linear.weight": torch.zeros(2)}, "weights of another network (linear.weight"),
    ],
)
def test_other_contents_are_named(tmp_path, content, says):
    assert says in refused(saved(tmp_path / "x.model", content))


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch):
    path = saved(tmp_path / "x.model", {"a": torch.zeros(1000)})
    monkeypatch.setattr("search.models.foreign.weights_file.LARGEST_BYTES", 2000)
    assert "a checkpoint has up to 2000" in refused(path)


def test_the_removed_thin_resnet_is_named_as_such(tmp_path):
    state = {name: t for name, t in trainer.resnet_l().items() if "torchfb" not in name}
    assert "thin ResNet-34 on a linear spectrogram" in refused(saved(tmp_path / "x", state))


def test_tap_and_max_have_to_be_told_apart_by_the_user(tmp_path):
    path = saved(tmp_path / "x.model", trainer.vggvox("TAP"))
    assert "--vggvox-pooling mean (TAP) or max (MAX)" in refused(path)


def test_other_features_than_the_trainers_are_seen_in_the_filterbank(tmp_path):
    state = trainer.resnet_l()
    state["torchfb.mel_scale.fb"] = state["torchfb.mel_scale.fb"] * 2
    assert "trained on other features" in refused(saved(tmp_path / "x", state))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fc.weight": torch.zeros(6, 50)}, "its dense layer takes 50 numbers"),
        ({"layer9.0.conv1.weight": torch.zeros(2)}, "no place in resnet_se_34l"),
        ({"bn1.weight": torch.zeros(9)}, "does not fit resnet_se_34l"),
        ({"bn1.weight": torch.full((8,), torch.nan)}, "NaN or infinite"),
        ({"bn1.bias": None}, "does not fit resnet_se_34l"),
        ({"layer2.0.conv1.weight": None}, "layer2.0.conv1.weight is missing"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, says):
    state = {n: t for n, t in (trainer.resnet_l() | change).items() if t is not None}
    assert says in refused(saved(tmp_path / "x", state))


# --- as a MODEL ----------------------------------------------------------------------------------


def test_what_only_such_a_file_has_is_refused_for_other_models(tmp_path):
    with pytest.raises(UsageError, match=r"--log-input.*this is none"):
        loader.load(str(tmp_path), "cpu", reading=Reading())


@pytest.mark.timeout(300)  # loads every library of an evaluation where it runs alone
@pytest.mark.usefixtures("spksearch_home")
def test_a_checkpoint_is_evaluated_like_any_model_and_on_pairs_of_no_list(tmp_path, capsys):
    corpus = tone_corpus.write_corpus(tmp_path / "corpus")
    known = {line.split()[1] for line in (corpus / "train_list.txt").read_text().splitlines()}
    pairs = [line.split() for line in (corpus / "valid_trials.txt").read_text().splitlines()]
    (corpus / "valid_trials.txt").unlink()  # so that they are on none
    chosen = [next(each for each in pairs if each[0] == label) for label in "01"]
    (tmp_path / "mine.txt").write_text("".join(" ".join(each) + "\n" for each in chosen))
    assert not known & {chosen[0][1], chosen[1][1]}
    path = saved(tmp_path / "model000000100.model", trainer.speaker_net(trainer.resnet_l()))
    line = ["evaluate", str(path), "--corpus", str(corpus), "--pairs", str(tmp_path / "mine.txt")]
    assert run([*line, "--out", str(tmp_path / "o"), "--int16-scale", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"]["trainer"] == "voxceleb_trainer"
    assert report["model"]["encoder"] == "resnet_se_34l"
    assert report["model"]["signature"] == ""
    assert report["list"]["pairs"] == 2
    assert report["model"]["notes"][:2] == [
        "assumed: log_input True (--no-log-input for the other)",
        "said: trained on samples of +-32768 (--no-int16-scale for the other)",
    ]
    # The same file, read as another network, does not take the place of the first one's figures.
    assert run([*line, "--out", str(tmp_path / "o"), "--no-int16-scale"]) == 2
