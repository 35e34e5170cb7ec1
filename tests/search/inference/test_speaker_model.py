"""A promoted folder embeds, verifies and identifies, from any audio, and imports nothing heavy."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from search.cli.app import run
from search.core.errors import NotFound, SpksearchError, UsageError
from search.inference.audio_files import find_audio_files
from search.inference.open_model import load_model
from search.models import loader
from spkmodel.config import TDNN, TrainConfig
from spkmodel.nn import encoders
from tests.support.command_line import answered, failed

RATE = 16000


def _voice(pitch, seconds=1.0, rate=RATE, seed=0):
    """A buzz: pulses at a pitch, with a little noise."""
    time = np.arange(round(seconds * rate)) / rate
    buzz = np.sign(np.sin(2 * np.pi * pitch * time)) * np.exp(-((time * pitch) % 1) * 5)
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.3 * buzz + 0.003 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `promote` leaves, of weights drawn by chance."""
    made = tmp_path_factory.mktemp("model")
    config = TrainConfig(encoder=TDNN(channels=8, embedding_dim=16))
    torch.manual_seed(0)
    weights = loader.serialise_weights(encoders.build(config.encoder).eval())
    (made / loader.WEIGHTS).write_bytes(weights)
    (made / loader.CONFIG).write_text(config.model_dump_json())
    (made / loader.THRESHOLD).write_text(json.dumps({"threshold": 0.995}))
    return made


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder, "cpu")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    made = tmp_path_factory.mktemp("<b>$(x) recordings")
    for speaker, pitch in (("anna", 110.0), ("b&b", 310.0)):
        (made / "enrolled" / speaker).mkdir(parents=True)
        for number in range(2):
            path = made / "enrolled" / speaker / f"{number}.wav"
            soundfile.write(path, _voice(pitch, 1.0 + number / 7, seed=number), RATE)
    stereo = np.stack([_voice(110.0, rate=8000)] * 2, axis=1)
    soundfile.write(made / "anna 8k.mp3", stereo, 8000)
    soundfile.write(made / "short.wav", _voice(110.0, 0.02), RATE)
    soundfile.write(made / "silent.wav", np.zeros(RATE, np.float32), RATE)
    return made


def test_every_way_to_give_a_waveform_gives_the_same_embedding(model, recordings):
    path = recordings / "enrolled" / "anna" / "1.wav"
    samples, _ = soundfile.read(path, dtype="int16")
    floats = samples.astype(np.float32) / 32768
    (from_file,) = model.embed_files([path])
    assert from_file.shape == (16,)
    for given in (samples, floats, floats.astype(np.float64), torch.from_numpy(floats)):
        assert np.allclose(model.embed(given), from_file, atol=1e-5)
    assert np.allclose(model.embed(floats.tolist()), from_file, atol=1e-5)
    several = model.embed([floats, floats[:9000]])
    assert several.shape == (2, 16)
    assert np.allclose(several[0], from_file, atol=1e-5)
    assert np.allclose(several[1], model.embed(floats[:9000]), atol=1e-5)


def test_files_of_mixed_lengths_are_embedded_in_order(model, recordings):
    paths = find_audio_files([recordings / "enrolled"])
    together = model.embed_files(paths * 3)
    alone = np.concatenate([model.embed_files([path]) for path in paths])
    assert np.allclose(together, np.tile(alone, (3, 1)), atol=1e-5)


def test_another_rate_is_resampled_and_scores_near_the_original(model):
    time = np.arange(48000) / 48000
    tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in (200, 700, 2500)) / 5
    assert model.score(model.embed(tones, 48000), model.embed(tones[::3])) > 0.999
    with pytest.raises(UsageError, match="12 Hz"):
        model.embed(tones, 12)


@pytest.mark.parametrize(
    ("waveform", "why"),
    [
        (np.zeros(RATE, np.float32), "silent"),
        (np.zeros(10, np.float32), "too short"),
        (np.full(RATE, np.nan, np.float32), "nan"),
        (np.full(RATE, 3000.0), "int16"),
        (np.ones(RATE, np.int64), "floats in"),
        (np.zeros((2, 3, 4)), "3 dimensions"),
        ([], "no waveform"),
    ],
)
def test_what_is_no_waveform_is_refused_with_the_reason(model, waveform, why):
    with pytest.raises(UsageError, match=why):
        model.embed(waveform)


def test_embed_writes_one_archive_of_files_folders_and_lists(folder, recordings, tmp_path, capsys):
    listed = tmp_path / "some.txt"
    mp3 = recordings / "anna 8k.mp3"
    listed.write_text(f"{mp3}\n\nspk1 {recordings}/enrolled/anna/0.wav\n")
    out = tmp_path / "deep" / "out.npz"
    told = answered(capsys, "embed", str(folder), str(recordings / "enrolled"), str(listed),
                    "--out", str(out))  # fmt: skip
    assert "5 embeddings of 16 numbers" in told, "four enrolled, one of them listed again, one mp3"
    with np.load(out) as archive:
        assert archive["embeddings"].shape == (5, 16)
        assert list(archive["paths"])[-1] == str(mp3)
        assert str(archive["model"]) == str(folder)
    assert [path.name for path in out.parent.iterdir()] == ["out.npz"]


def test_verify_exits_0_for_the_same_speaker_and_5_for_another(folder, recordings, capsys):
    anna, other = (
        [str(p) for p in (recordings / "enrolled" / s).iterdir()] for s in ("anna", "b&b")
    )
    assert "same speaker" in answered(capsys, "verify", str(folder), *anna)
    assert run(["verify", str(folder), *anna, other[0]]) == 5
    assert "different speakers" in capsys.readouterr().out
    told = json.loads(answered(capsys, "verify", str(folder), *anna, "--json", "--threshold", "-1"))
    assert (told["same_speaker"], told["threshold"]) == (True, -1.0)


def test_identify_names_the_enrolled_speaker_or_nobody(folder, recordings, tmp_path, capsys):
    path = tmp_path / "who.wav"
    soundfile.write(path, _voice(310.0, seed=9), RATE)
    enrolled = str(recordings / "enrolled")
    told = answered(capsys, "identify", str(folder), enrolled, str(path), "--threshold", "0.5")
    assert told.startswith("b&b (threshold 0.5000)")
    assert run(["identify", str(folder), enrolled, str(path), "--threshold", "1.1"]) == 5
    assert capsys.readouterr().out.startswith("nobody who is enrolled")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("short.wav", "short.wav"),
        ("silent.wav", "silen"),
        ("not there.wav", "no such file"),
    ],
)
def test_a_recording_that_cannot_be_used_is_named(folder, recordings, tmp_path, capsys, name, why):
    code, told = failed(
        capsys, "embed", str(folder), str(recordings / name), "--out", str(tmp_path / "x.npz")
    )
    assert code == 2
    assert why in told
    assert not (tmp_path / "x.npz").exists()


def test_a_wrong_model_is_told_before_anything_is_embedded(folder, tmp_path):
    with pytest.raises(NotFound, match="no model"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"encoder\.safetensors"):
        load_model(tmp_path / "empty")
    for name in (loader.WEIGHTS, loader.CONFIG):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    without = load_model(tmp_path, "cpu")
    with pytest.raises(UsageError, match="no threshold was recorded"):
        without.require_threshold(None)
    assert without.require_threshold(0.25) == 0.25


def test_weights_that_differ_from_the_folders_report_are_refused(folder, tmp_path):
    for name in (loader.WEIGHTS, loader.CONFIG):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    sha256 = hashlib.sha256((tmp_path / loader.WEIGHTS).read_bytes()).hexdigest()
    report = {"search": "s", "trial": "t0001", "epoch": 1, "model": {"sha256": sha256}}
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert load_model(tmp_path, "cpu").model.trial == "t0001"
    damaged = bytearray((tmp_path / loader.WEIGHTS).read_bytes())
    damaged[-5] ^= 1
    (tmp_path / loader.WEIGHTS).write_bytes(damaged)
    with pytest.raises(SpksearchError, match=r"report\.json has"):
        load_model(tmp_path, "cpu")


_CHILD = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"ray", "mlflow", "optuna"}:
            raise ImportError(f"{name} is not to be imported")
sys.meta_path.insert(0, Refuse())
import numpy, spksearch
assert "torch" not in sys.modules
model = spksearch.load_model(sys.argv[1], device="cpu")
print(model.embed(numpy.full(16000, 0.1, numpy.float32)).shape, model.threshold)
"""


def test_a_promoted_folder_is_used_without_ray_mlflow_and_optuna(folder):
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(16,) 0.995"
