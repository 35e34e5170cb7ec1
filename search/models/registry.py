"""Find, download and register versions of models in MLflow's registry, without pickle."""

import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from search.core.errors import NotFound, UsageError
from search.models import model_files

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.model import ModelInfo

_CARD = "MODEL_CARD.md"
_SHOWN = (".md", ".json", ".png", ".txt")
"""Kinds of files of a promoted folder that the version's run has, to be looked at."""
_NAME = re.compile(r"(?!.* $)[\w-][\w. -]{0,249}")
_ALIAS = re.compile(r"[A-Za-z0-9_-]+")
_VERSION_ALIAS = re.compile(r"[vV]\d+")
_MOST_ALIAS = 250
"""MLflow's databases have room for 256 characters."""
_URI = re.compile(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))")


@dataclass(frozen=True)
class DownloadedVersion:
    """The files of a version, which exist as long as the context of `download_version`."""

    folder: Path
    uri: str
    """The address with the version's number, even where an alias was asked for."""
    tags: dict[str, str]


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a registered model."""

    name: str
    version: str
    alias: str
    """That it carries; empty if a gate kept it from that."""
    created: bool
    """Whether this call created it; otherwise it was there already."""

    @property
    def uri(self) -> str:
        """The address by which `evaluate` and MLflow load it."""
        return f"models:/{self.name}@{self.alias}" if self.alias else self.exact_uri

    @property
    def exact_uri(self) -> str:
        """The address of this version, which no promotion moves."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class AliasHolder:
    """The version that an alias points to."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]

    @property
    def exact_uri(self) -> str:
        """The address of this version."""
        return f"models:/{self.name}/{self.version}"


@contextmanager
def download_version(client: "MlflowClient", uri: str) -> Iterator[DownloadedVersion]:
    """Download the files of `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        UsageError: if `uri` is neither, or the version is not one that `promote` made.
        NotFound: no such model, version or alias.
    """
    import mlflow

    found = _find_version(client, *parse_uri(uri))
    # Anybody can register a version in MLflow; only those of `promote` say what their weights are.
    if "sha256" not in found.tags:
        raise UsageError(
            f"{uri}: version {found.version} has no sha256 tag, so it was not made by `spksearch "
            "promote`, and its weights cannot be verified"
        )
    with tempfile.TemporaryDirectory(prefix="spksearch-model-") as folder:
        exact = f"models:/{found.name}/{found.version}"
        mlflow.artifacts.download_artifacts(artifact_uri=exact, dst_path=folder)
        yield DownloadedVersion(Path(folder) / "artifacts", exact, dict(found.tags))


def parse_uri(uri: str) -> tuple[str, str | None, str | None]:
    """Return name, alias and version of an address in the registry; one of the last two is None.

    Raises:
        UsageError: if it is not such an address.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise UsageError(f"{uri}: write models:/NAME@ALIAS or models:/NAME/VERSION")
    return match[1], match[2], match[3]


def check_names(name: str, alias: str) -> None:
    """Require that MLflow will take the name of a registered model, and an alias.

    It refuses them after the files of the version are stored, and the test pairs are used by then.

    Raises:
        UsageError: if it will not, or `parse_uri` would not find the version again.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--model {name!r}: a registered model's name is 1 to 250 letters, digits, spaces, "
            "'.', '_' or '-', the first and the last no space and the first no '.'"
        )
    if not _ALIAS.fullmatch(alias) or len(alias) > _MOST_ALIAS:
        raise UsageError(
            f"--alias {alias!r}: an alias has 1 to {_MOST_ALIAS} letters, digits, _ or -"
        )
    if alias.lower() == "latest" or _VERSION_ALIAS.fullmatch(alias):
        raise UsageError(
            f"--alias {alias!r}: MLflow keeps latest, and v with a number, for itself; choose "
            "another, such as champion"
        )


def _find_version(
    client: "MlflowClient", name: str, alias: str | None, version: str | None
) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        if alias is not None:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(name, version)
    except MlflowException as error:
        # MLflow answers an alias that does not exist with INVALID_PARAMETER_VALUE.
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        known = ", ".join(model.name for model in client.search_registered_models()) or "none yet"
        what = f"alias {alias!r}" if alias is not None else f"version {version}"
        raise NotFound(
            f"no {what} of a registered model {name!r}; registered models: {known}"
        ) from error


def find_alias_holder(client: "MlflowClient", name: str, alias: str) -> AliasHolder | None:
    """Return the version that an alias points to; None without such a model or alias."""
    try:
        found = _find_version(client, name, alias, None)
    except NotFound:
        return None
    return AliasHolder(name, str(found.version), str(found.run_id), dict(found.tags))


def read_promotion_file(client: "MlflowClient", holder: AliasHolder, file: str) -> bytes | None:
    """Return a file that `promote` stored with a version; None if it has no such file."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="spksearch-promotion-") as place:
        try:
            path = client.download_artifacts(holder.run_id, f"promotion/{file}", place)
        except (MlflowException, OSError):
            return None
        return Path(path).read_bytes()


def register_version(
    client: "MlflowClient",
    folder: Path,
    name: str,
    experiment: str,
    *,
    title: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
) -> RegisteredVersion:
    """Return the version with a promoted folder's weights; create it if there is none.

    The version appears in one step, tags included, after its files: a call that died before leaves
    at most a run, and the next call creates the version.
    """
    found = _find_same_weights(client, name, tags["sha256"])
    # The same weights are one version, however often they are promoted.
    version = found or _create(client, folder, name, experiment, title, tags, metrics)
    return RegisteredVersion(name, version, "", created=found is None)


def update_card(
    client: "MlflowClient",
    folder: Path,
    registered: RegisteredVersion,
    format_description: Callable[[str], str],
) -> None:
    """Give a version the card of its folder, which names the version by now.

    Args:
        client: of the registry.
        folder: the promoted folder.
        registered: the version.
        format_description: returns the text for the version's page, given the id of its run.
    """
    known = client.get_model_version(registered.name, registered.version)
    description = format_description(str(known.run_id))
    if known.description == description:
        return
    for file in (_CARD, "report.json"):
        client.log_artifact(known.run_id, str(folder / file), "promotion")
    client.update_model_version(registered.name, registered.version, description=description)


def _find_same_weights(client: "MlflowClient", name: str, sha256: str) -> str | None:
    """Return the newest version of `name` with these weights, if there is one."""
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
        # The weights and what MLflow loads them with are stored once, with the model below.
        if file.suffix in _SHOWN and file.name not in model_files.MLFLOW_FILES:
            client.log_artifact(run, str(file), "promotion")
    with mlflow.start_run(run_id=run):
        info = _log_model(folder)
    try:
        client.create_registered_model(name, description="Speaker encoders of spksearch.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # Last, with all tags in one call: a version without tags would look like one of another tool.
    made = client.create_model_version(
        name,
        info.model_uri,
        run,
        tags=dict(tags),
        model_id=info.model_id,
    )
    return str(made.version)


def _open_run(client: "MlflowClient", experiment: str, title: str, tags: Mapping[str, str]) -> str:
    """Create a run below the search's run, so that the trials' runs stay as the ledger has them."""
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
        # It asks for an example of the input, and for a type hint, which would be a schema of it.
        warnings.simplefilter("ignore")
        return mlflow.pyfunc.log_model(
            name="encoder", model_type="speaker-encoder", **model_files.build_model_parts(folder)
        )
