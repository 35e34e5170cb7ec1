"""The models-from-code file, without a server: saved, loaded, compared with validation."""

import json
import warnings

import numpy as np
import pytest
import torch

from search.models import loader, mlflow_client, model_files, registry
from spkmodel.data.store import Store
from spkmodel.data.store_writing import write_store
from spkmodel.verification import embed_and_score
from tests.support import untrained_search


@pytest.fixture(scope="module")
def encoder():
    return untrained_search.random_encoder(4)


@pytest.fixture(scope="module")
def saved(encoder, tmp_path_factory):
    """An MLflow model made of a promoted folder."""
    folder = tmp_path_factory.mktemp("promoted")
    (folder / "encoder.safetensors").write_bytes(loader.serialise_weights(encoder))
    (folder / "config.json").write_text(untrained_search.CONFIG.model_dump_json())
    (folder / "report.json").write_text(json.dumps({"model": {"embedding_dim": 16}}))
    for name in ("threshold.json", "MODEL_CARD.md"):
        (folder / name).write_text("{}")
    place = tmp_path_factory.mktemp("mlflow") / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(str(place), **model_files.build_model_parts(folder))
    return place


@pytest.fixture(scope="module")
def loaded(saved):
    import mlflow.pyfunc

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        return mlflow.pyfunc.load_model(str(saved))


def test_no_file_of_a_registered_model_is_a_pickle(saved):
    files = [path for path in saved.rglob("*") if path.is_file() and path.name != "py.typed"]
    known = {".safetensors", ".json", ".md", ".py", ".txt", ".yaml", ".yml", ""}
    assert {path.suffix for path in files} <= known


def test_waveforms_in_embeddings_out_as_in_validation(encoder, loaded, tmp_path):
    rng = np.random.default_rng(0)
    lengths = [16_000, 17_599, 3_199, 12_345]
    names = [f"wav/a/{length}.wav" for length in lengths]
    waveforms = [rng.integers(-9000, 9000, length, dtype=np.int16) for length in lengths]
    utterances = [(n, "a", "dev", w) for n, w in zip(names, waveforms, strict=True)]
    store = write_store(tmp_path / "store", utterances, {"sha256": "0" * 64})
    expected = embed_and_score.embed(encoder, Store.open(store.folder), names)
    for name, waveform in zip(names, waveforms, strict=True):
        batch = np.stack([waveform, waveform]).astype(np.float32) / 32768
        embeddings = loaded.predict(batch)
        assert embeddings.shape == (2, 16)
        assert np.abs(embeddings - expected[name].numpy()).max() < 1e-5


def test_floats_int16_lists_tables_and_files_give_the_same_embeddings(loaded, tmp_path):
    import pandas as pd
    import soundfile

    rng = np.random.default_rng(1)
    samples = [rng.integers(-9000, 9000, length, dtype=np.int16) for length in (16_000, 8_000)]
    files = [tmp_path / "a.wav", tmp_path / "b.flac"]
    for path, waveform in zip(files, samples, strict=True):
        soundfile.write(path, waveform, 16_000)
    floats = [waveform / 32768 for waveform in samples]
    expected = np.concatenate([loaded.predict(each.astype(np.float32)) for each in floats])
    assert expected.shape == (2, 16)
    for given in (
        floats,
        [each.astype(np.float32) for each in floats],
        samples,
        [each.tolist() for each in floats],
        files,
        [str(each) for each in files],
        np.array([str(each) for each in files]),
        pd.DataFrame({"waveform": floats}),
    ):
        assert np.abs(loaded.predict(given) - expected).max() < 1e-6
    assert loaded.predict(str(files[0])) == pytest.approx(expected[:1], abs=1e-6)
    assert loaded.predict(np.stack([samples[0]] * 3)).shape == (3, 16)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (np.zeros((2, 3, 16_000), dtype=np.float32), r"waveform 0: mono of shape \(samples,\)"),
        (np.zeros(1_000), "waveform 0: 1000 samples at 16 kHz are too few"),
        ([np.zeros(16_000), np.full(16_000, 9000.0)], "waveform 1: values up to 9000"),
        (np.full(16_000, np.nan), "values up to nan"),
        (np.zeros(16_000, dtype=np.int32), "float in .* or int16 is wanted, got int32"),
        ([], "waveforms or paths are wanted"),
        ("nowhere.wav", "nowhere.wav"),
    ],
)
def test_what_is_no_waveform_is_refused_with_the_reason(loaded, given, why):
    with pytest.raises(ValueError, match=why):
        loaded.predict(given)


def test_a_registered_model_brings_the_code_and_the_versions_it_needs(saved):
    assert (saved / "code" / "spkmodel" / "nn" / "encoders" / "__init__.py").is_file()
    assert not list(saved.rglob("__pycache__"))
    requirements = (saved / "requirements.txt").read_text().splitlines()
    wanted = f"torch=={torch.__version__.partition('+')[0]}"
    assert wanted in requirements
    assert not any("+" in line for line in requirements)


@pytest.mark.parametrize("uri", ["models:/a", "models:/a@b/1", "models:/a/latest", "models:/a/b/1"])
def test_only_a_name_with_an_alias_or_a_version_is_an_address(uri):
    from search.core.errors import UsageError

    with pytest.raises(UsageError, match="NAME@ALIAS"):
        registry.parse_uri(uri)
    assert registry.parse_uri("models:/spksearch-tiny@candidate") == (
        "spksearch-tiny",
        "candidate",
        None,
    )


def test_a_tracking_server_that_is_away_is_a_problem_of_the_environment_without_secrets():
    from search.core.errors import EnvironmentSetupError

    with (
        pytest.raises(EnvironmentSetupError, match="no answer") as caught,
        mlflow_client.connect_mlflow("http://someone:secret@127.0.0.1:1") as client,
    ):
        client.search_registered_models()
    assert "secret" not in str(caught.value)
