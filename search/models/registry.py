"""MLflow's model registry: versions found, downloaded and made, without pickle."""

import json
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.errors import EnvironmentSetupError, NotFound, UsageError
from search.core.paths import CODE
from search.core.redact import HIDDEN, redact
from search.tracking import server as mlflow_server

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.model import ModelInfo

REQUIREMENTS = (
    "torch", "torchaudio", "numpy", "pydantic", "safetensors", "jaxtyping", "soundfile", "mlflow",
)  # fmt: skip
"""What `spkmodel` imports on the way from waveforms to embeddings."""
_CODE = Path(__file__).with_name("pyfunc.py")
_MODELS = CODE / "spkmodel"
_ENVIRONMENT = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # The default waits four minutes for a server that is down.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
_URI = re.compile(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))")


@dataclass(frozen=True)
class Downloaded:
    """A version's files, for as long as the context lasts."""

    folder: Path
    uri: str
    """With the version, even where an alias was asked for."""
    tags: dict[str, str]


@dataclass(frozen=True)
class Registered:
    """A version that carries an alias."""

    name: str
    version: str
    alias: str
    created: bool
    """By this call; otherwise it was there already."""

    @property
    def uri(self) -> str:
        """By which `evaluate` and MLflow load it."""
        return f"models:/{self.name}@{self.alias}"


@contextmanager
def connected(tracking_uri: str | None, recorded: str = "") -> Iterator["MlflowClient"]:
    """A client of the tracking server, for as long as the context lasts.

    Args:
        tracking_uri: asked for; None: `$MLFLOW_TRACKING_URI`, else `recorded`, else the home
            folder's own server, which is started if it does not run and then stopped again.
        recorded: what the search was launched with, without credentials.

    Raises:
        EnvironmentSetupError: if the server cannot be reached or refuses.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or recorded
    if HIDDEN in uri:
        raise EnvironmentSetupError(
            f"the search was tracked at {uri}, whose credentials are not kept; set "
            "MLFLOW_TRACKING_URI to the full address"
        )
    if uri:
        with _client(uri) as client:
            yield client
        return
    server = mlflow_server.start()
    try:
        server.wait_ready()
        with _client(server.uri) as client:
            yield client
    finally:
        server.stop()


@contextmanager
def _client(uri: str) -> Iterator["MlflowClient"]:
    ours = _ENVIRONMENT | {
        name: ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost"]))
        for name in ("NO_PROXY", "no_proxy")
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, about type hints of its own
        import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    logger = logging.getLogger("mlflow")
    level, earlier = logger.level, mlflow.get_tracking_uri()
    logger.setLevel(logging.WARNING)
    mlflow.set_tracking_uri(uri)
    try:
        yield mlflow.MlflowClient(uri)
    except MlflowException as error:
        away = "Max retries exceeded" in error.message
        raise EnvironmentSetupError(
            f"MLflow at {redact(uri)}: {'no answer' if away else redact(error.message)}; what is "
            "done is kept, give the same command again once `spksearch doctor` finds it well"
        ) from error
    finally:
        logger.setLevel(level)
        mlflow.set_tracking_uri(earlier)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def downloaded(client: "MlflowClient", uri: str) -> Iterator[Downloaded]:
    """The files of `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        UsageError: if `uri` is neither, or the version is not one that `promote` made.
        NotFound: no such model, version or alias.
    """
    import mlflow

    found = _version(client, *parsed(uri))
    if "sha256" not in found.tags:
        raise UsageError(
            f"{uri}: version {found.version} has no sha256 tag, so it was not made by `spksearch "
            "promote`, and its weights cannot be verified"
        )
    with tempfile.TemporaryDirectory(prefix="spksearch-model-") as folder:
        exact = f"models:/{found.name}/{found.version}"
        mlflow.artifacts.download_artifacts(artifact_uri=exact, dst_path=folder)
        yield Downloaded(Path(folder) / "artifacts", exact, dict(found.tags))


def parsed(uri: str) -> tuple[str, str | None, str | None]:
    """Name, alias and version, one of the two None, of an address in the registry.

    Raises:
        UsageError: if it is none.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise UsageError(f"{uri}: write models:/NAME@ALIAS or models:/NAME/VERSION")
    return match[1], match[2], match[3]


def _version(
    client: "MlflowClient", name: str, alias: str | None, version: str | None
) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        if alias is not None:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        known = ", ".join(model.name for model in client.search_registered_models()) or "none yet"
        what = f"alias {alias!r}" if alias is not None else f"version {version}"
        raise NotFound(
            f"no {what} of a registered model {name!r}; registered models: {known}"
        ) from error


def register(
    client: "MlflowClient",
    folder: Path,
    name: str,
    alias: str,
    experiment: str,
    *,
    title: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
) -> Registered:
    """The version that holds a promoted folder's weights, made if there is none, with an alias.

    The version appears in one step, tags included, after its files: a call that died before
    leaves at most a run, and the next call makes the version.
    """
    found = _same(client, name, tags["sha256"])
    version = found or _create(client, folder, name, experiment, title, tags, metrics)
    client.set_registered_model_alias(name, alias, version)
    return Registered(name, version, alias, created=found is None)


def _same(client: "MlflowClient", name: str, sha256: str) -> str | None:
    """The newest version of `name` with these weights."""
    quoted = name.replace("'", "")
    versions = client.search_model_versions(f"name='{quoted}'")
    same = [int(each.version) for each in versions if each.tags.get("sha256") == sha256]
    return str(max(same)) if same else None


def _create(
    client: "MlflowClient",
    folder: Path,
    name: str,
    experiment: str,
    title: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
) -> str:
    import mlflow
    from mlflow.exceptions import MlflowException

    run = _open_run(client, experiment, title, tags)
    for key, value in metrics.items():
        client.log_metric(run, key, value)
    for file in sorted(folder.iterdir()):
        if file.name != "encoder.safetensors":
            client.log_artifact(run, str(file), "promotion")
    with mlflow.start_run(run_id=run):
        info = _log_model(folder)
    try:
        client.create_registered_model(name, description="Speaker encoders of spksearch.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    made = client.create_model_version(
        name, info.model_uri, run, tags=dict(tags), description=card, model_id=info.model_id
    )
    return str(made.version)


def _open_run(client: "MlflowClient", experiment: str, title: str, tags: Mapping[str, str]) -> str:
    """A run of its own under the search's, so that the trials' runs stay as the ledger has them."""
    found = client.get_experiment_by_name(experiment)
    place = found.experiment_id if found else client.create_experiment(experiment)
    named = f"tags.search = '{tags['search']}' and tags.kind = 'search'"
    parents = client.search_runs([place], named, max_results=1)
    marks = {"kind": "promotion", **tags}
    if parents:
        marks["mlflow.parentRunId"] = parents[0].info.run_id
    return client.create_run(place, run_name=title, tags=marks).info.run_id


def _log_model(folder: Path) -> "ModelInfo":
    import mlflow

    with warnings.catch_warnings():
        # It asks for an example to check the signature by; a test of ours does that.
        warnings.filterwarnings("ignore", message=".*input example")
        return mlflow.pyfunc.log_model(
            name="encoder", model_type="speaker-encoder", **model_parts(folder)
        )


def model_parts(folder: Path) -> dict[str, Any]:
    """What MLflow is to keep of a promoted folder: code, files, signature, requirements."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    single = np.dtype("float32")
    files = {
        "weights": "encoder.safetensors",
        "config": "config.json",
        "threshold": "threshold.json",
        "report": "report.json",
        "card": "MODEL_CARD.md",
    }
    return {
        "python_model": str(_CODE),
        "artifacts": {key: str(folder / name) for key, name in files.items()},
        "code_paths": [str(_MODELS)],
        "signature": ModelSignature(
            Schema([TensorSpec(single, (-1, -1))]),
            Schema([TensorSpec(single, (-1, int(report["model"]["embedding_dim"])))]),
        ),
        "pip_requirements": [f"{name}=={_public(name)}" for name in REQUIREMENTS],
    }


def _public(distribution: str) -> str:
    """An installed version without its local part, which no index serves (`2.11.0+cpu`)."""
    return installed_version(distribution).partition("+")[0]
