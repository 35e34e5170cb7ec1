"""Load a model from a registered version, a trial, a folder or another trainer's file.

Our weights are safetensors and a config is JSON, read by our own code and compared with the hash
that was recorded; of voxceleb_trainer's files only tensors are read. Nothing that came with a model
is executed.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.checkpoints.selection import SelectedCheckpoint, parse_trial, select_checkpoint
from search.core.errors import NotFound, SpksearchError, UsageError
from search.core.paths import existing_ledger, list_searches, search_folder
from search.ledger.ledger import Ledger
from search.models import mlflow_client, registry
from spkmodel.core import foreign_file

if TYPE_CHECKING:
    from torch import Tensor, nn

    from search.models.foreign.architecture import Reading
    from spkmodel.config import TrainConfig
    from spkmodel.config.encoders import Encoder

WEIGHTS = "encoder.safetensors"
CONFIG = "config.json"
THRESHOLD = "threshold.json"
_LARGEST_CONFIG = 1 << 20
_LARGEST_WEIGHTS = 8 << 30
ACCEPTED = (
    "a model is models:/NAME@ALIAS or models:/NAME/VERSION, SEARCH/TRIAL, the folder of a "
    "promoted model or of a checkpoint, or a file that voxceleb_trainer saved"
)


@dataclass(frozen=True)
class Model:
    """An encoder that is ready to embed, and its origin."""

    encoder: "nn.Module"
    config: "TrainConfig"
    source: str
    """The name of the model for people."""
    sha256: str
    """The hash of the weights, as `encoder.safetensors` holds them."""
    search: str = ""
    trial: str = ""
    epoch: int = 0
    trainer: str = ""
    """The trainer that made it, if not ours; then only the encoder of `config` is right."""
    notes: tuple[str, ...] = ()
    """Assumptions that were made about it."""
    threshold: float | None = None
    """The score at the EER of the dev pairs, as `promote` recorded it beside the weights."""

    def facts(self) -> dict[str, Any]:
        """Return the fields that a report has of the model."""
        from spkmodel.nn import encoders

        return {
            "source": self.source,
            "sha256": self.sha256,
            "signature": "" if self.trainer else self.config.signature,
            "encoder": self.config.encoder.kind,
            "parameters": encoders.parameter_count(self.config.encoder),
            "embedding_dim": self.config.encoder.embedding_dim,
            "search": self.search,
            "trial": self.trial,
            "epoch": self.epoch,
            "trainer": self.trainer,
            "notes": list(self.notes),
        }


def load(
    source: str,
    device: str,
    tracking_uri: str | None = None,
    reading: "Reading | None" = None,
) -> Model:
    """Load the model that `source` names.

    Args:
        source: see `ACCEPTED`.
        device: where its encoder goes.
        tracking_uri: of the registry.
        reading: options that a checkpoint of voxceleb_trainer does not record; for that kind of
            source only.

    Raises:
        NotFound: no such model, search or trial.
        UsageError: the source cannot be used.
        EnvironmentSetupError: the tracking server cannot be used.
        SpksearchError: the weights are not the ones that were recorded.
    """
    folder = Path(source)
    if folder.is_file():
        return read_foreign(folder, device, reading)
    # An option that would change nothing is an error, not a silent default.
    if reading is not None:
        raise UsageError(
            f"{source}: --log-input, --int16-scale, --vggvox-pooling and --sinc-stride say what a "
            "file of voxceleb_trainer leaves open; this is none"
        )
    if source.startswith("models:"):
        return _read_registered(source, device, tracking_uri)
    if (folder / WEIGHTS).is_file():
        return read_promoted(folder, device)
    if folder.is_dir() and list(folder.glob("*.safetensors")):
        return read_checkpoint(folder, device)
    if (named := parse_trial(source)) is not None:
        search, trial = named
        state = Ledger.open(existing_ledger(search)).state()
        return read_selected(search, select_checkpoint(state, search_folder(search), trial), device)
    raise _no_model_error(source, folder)


def read_selected(search: str, selected: SelectedCheckpoint, device: str) -> Model:
    """Read the encoder of a selected checkpoint, and compare its hash with the ledger's."""
    trial, epoch = selected.trial.trial, selected.report.epoch
    try:
        model = read_checkpoint(selected.folder, device, selected.report.sha256)
    except ValueError as error:
        raise SpksearchError(str(error)) from error
    source = f"{search}/{trial} (epoch {epoch})"
    return Model(model.encoder, model.config, source, model.sha256, search, trial, epoch)


def read_checkpoint(folder: Path, device: str, sha256: str | None = None) -> Model:
    """Read the encoder of a checkpoint folder."""
    from spkmodel.verification import embed_and_score

    encoder, config = embed_and_score.load_encoder(folder, sha256, device)
    return Model(
        encoder, config, str(folder), hashlib.sha256(serialise_weights(encoder)).hexdigest()
    )


def read_promoted(folder: Path, device: str, sha256: str = "", source: str = "") -> Model:
    """Read the encoder of a promoted model's folder.

    Raises:
        UsageError: if a file is missing or is not what it should be.
        SpksearchError: if the weights' hash is not `sha256`.
    """
    from pydantic import ValidationError
    from safetensors import SafetensorError
    from safetensors.torch import load as tensors_of

    from spkmodel.config import TrainConfig

    # Read once: the bytes that are hashed are the bytes that are loaded.
    raw = _read_bytes(folder / WEIGHTS, _LARGEST_WEIGHTS)
    found = hashlib.sha256(raw).hexdigest()
    if sha256 and found != sha256:
        raise SpksearchError(
            f"{source or folder}: the weights' SHA-256 is {found[:16]}..., recorded was "
            f"{sha256[:16]}...: they were changed or damaged and are not used"
        )
    try:
        document = foreign_file.read_json_object(folder / CONFIG, _LARGEST_CONFIG)
        config = TrainConfig.model_validate(document)
        encoder = build_encoder(config.encoder, tensors_of(raw))
    except (ValidationError, SafetensorError, ValueError, RuntimeError) as error:
        raise UsageError(f"{folder}: not a promoted model of ours: {error}") from error
    origin, recorded = _read_origin(folder)
    if not sha256 and recorded and found != recorded:
        raise SpksearchError(
            f"{folder}: the weights' SHA-256 is {found[:16]}..., report.json has "
            f"{recorded[:16]}...: they were changed or damaged and are not used"
        )
    threshold = _read_threshold(folder / THRESHOLD)
    name = source or str(folder)
    return Model(encoder.to(device).eval(), config, name, found, *origin, threshold=threshold)


def build_encoder(config: "Encoder", weights: "dict[str, Tensor]") -> "nn.Module":
    """Build the encoder of a config and give it the weights.

    Raises:
        ValueError: if the tensors are not those of the config's network, by name or by shape.
    """
    import torch

    from spkmodel.nn import encoders

    # On torch's meta device a network has shapes and no memory: a config that asks for a huge one
    # is found wrong before anything is allocated for it.
    with torch.device("meta"):
        wanted = {name: tuple(t.shape) for name, t in encoders.build(config).state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wrong = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"{WEIGHTS} and {CONFIG} are of two networks: {len(wrong)} tensors differ; {name} has "
            f"the shape {found.get(name, 'none')} in the weights, {wanted.get(name, 'none')} "
            f"by the config ({config.kind}); take both files from one promoted model"
        )
    encoder = encoders.build(config)
    encoder.load_state_dict(weights)
    return encoder


def read_foreign(path: Path, device: str, reading: "Reading | None" = None) -> Model:
    """Read the encoder of a checkpoint of voxceleb_trainer.

    Raises:
        UsageError: if the file is not such a checkpoint.
    """
    from search.models.foreign import network
    from search.models.foreign.architecture import Reading
    from spkmodel.config import TrainConfig

    found = network.read_network(path, reading or Reading())
    return Model(
        found.encoder.to(device).eval(),
        TrainConfig(encoder=found.config),
        str(path),
        hashlib.sha256(serialise_weights(found.encoder)).hexdigest(),
        epoch=found.epoch,
        trainer="voxceleb_trainer",
        notes=found.notes,
    )


def serialise_weights(encoder: "nn.Module") -> bytes:
    """Return the bytes of `encoder.safetensors`: every tensor of the encoder, buffers included."""
    from safetensors.torch import save

    state = encoder.state_dict()
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})


def _read_registered(source: str, device: str, tracking_uri: str | None) -> Model:
    registry.parse_uri(source)  # before a server is started for it
    with (
        mlflow_client.connect_mlflow(tracking_uri) as client,
        registry.download_version(client, source) as found,
    ):
        config_sha256 = found.tags.get("config_sha256", "")  # of versions made before: none
        _require_hash(found.folder / CONFIG, config_sha256, found.uri)
        model = read_promoted(found.folder, device, found.tags["sha256"], found.uri)
    tags = found.tags
    return replace(
        model,
        search=tags.get("search", ""),
        trial=tags.get("trial", ""),
        epoch=int(tags.get("epoch", "0")),
    )


def _require_hash(path: Path, sha256: str, source: str) -> None:
    if sha256 and hashlib.sha256(_read_bytes(path, _LARGEST_CONFIG)).hexdigest() != sha256:
        raise SpksearchError(
            f"{source}: the SHA-256 of {path.name} is not the recorded one: it was changed or "
            "damaged, and is not used"
        )


def _read_origin(folder: Path) -> tuple[tuple[str, str, int], str]:
    """Return search, trial and epoch, and the weights' hash, by a promoted folder's report.

    All are empty without a report.
    """
    report = folder / "report.json"
    if not report.is_file():
        return ("", "", 0), ""
    try:
        document = foreign_file.read_json_object(report, _LARGEST_CONFIG)
        origin = str(document["search"]), str(document["trial"]), int(document["epoch"])
        return origin, str(document["model"]["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{report}: not the report of a promoted model: {error!r}") from error


def _read_threshold(path: Path) -> float | None:
    """Return the threshold beside the weights; None without such a file."""
    if not path.is_file():
        return None
    try:
        return float(foreign_file.read_json_object(path, _LARGEST_CONFIG)["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: no threshold of a promoted model in it: {error!r}") from error


def _read_bytes(path: Path, most: int) -> bytes:
    if not path.is_file():
        raise UsageError(f"{path}: no such file; a promoted model has {WEIGHTS} and {CONFIG}")
    return foreign_file.read_bytes(path, most)


def _no_model_error(source: str, folder: Path) -> SpksearchError:
    if folder.is_dir():
        return UsageError(f"{source}: holds neither {WEIGHTS} nor a checkpoint; {ACCEPTED}")
    known = ", ".join(list_searches()) or "none yet"
    return NotFound(f"no model {source!r}; {ACCEPTED}; searches here: {known}")
