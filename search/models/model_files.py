"""Make a promoted folder an MLflow model: `MLmodel`, code and requirements beside the weights.

`mlflow.pyfunc.load_model(FOLDER)` then works without a server.
"""

import json
import shutil
import tempfile
import warnings
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from search.core.paths import CODE

REQUIREMENTS = (
    "torch", "torchaudio", "numpy", "pydantic", "safetensors", "jaxtyping", "soundfile", "mlflow",
)  # fmt: skip
"""Packages that `spkmodel` imports on the way from waveforms to embeddings."""

_CODE = Path(__file__).with_name("pyfunc.py")
_MODELS = CODE / "spkmodel"
_MODEL = "MLmodel"

MLFLOW_FILES = frozenset({_MODEL, "conda.yaml", "python_env.yaml", "requirements.txt", _CODE.name})
"""Files that `add_mlflow_model` adds, beside the folder `code`."""

_STORED = {
    "weights": "encoder.safetensors",
    "config": "config.json",
    "threshold": "threshold.json",
    "report": "report.json",
}
"""Files of a promoted folder that MLflow stores with the model, by the name the code knows them by.
Without the card: it names the version, which does not exist yet when they are stored."""


def build_model_parts(folder: Path) -> dict[str, Any]:
    """Return what MLflow stores of a promoted folder: code, files, signature, requirements."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    single = np.dtype("float32")
    return {
        "python_model": str(_CODE),
        "artifacts": {key: str(folder / name) for key, name in _STORED.items()},
        "code_paths": [str(_MODELS)],
        # Of what it returns only: a schema of inputs would refuse lists of waveforms, paths and
        # every type but one, and the model checks them itself.
        "signature": ModelSignature(
            outputs=Schema([TensorSpec(single, (-1, int(report["model"]["embedding_dim"])))])
        ),
        "pip_requirements": [f"{name}=={_strip_local_version(name)}" for name in REQUIREMENTS],
    }


def add_mlflow_model(folder: Path) -> None:
    """Add to a promoted folder what MLflow needs to load it, unless it is there.

    `MLmodel` comes last: a folder that has it is complete.
    """
    if (folder / _MODEL).is_file():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, about type hints and input examples
        import mlflow.pyfunc
        from mlflow.models import Model

        with tempfile.TemporaryDirectory(prefix="spksearch-mlflow-") as place:
            made = Path(place) / "model"
            mlflow.pyfunc.save_model(str(made), **build_model_parts(folder))
            described = Model.load(str(made))
            function = described.flavors["python_function"]
            # The files lie in the folder already; where they came from is nobody's business.
            function["artifacts"] = {
                key: {"path": name, "uri": name} for key, name in _STORED.items()
            }
            function["model_code_path"] = _CODE.name
            described.save(str(made / _MODEL))
            shutil.rmtree(made / "artifacts")
            for each in sorted(made.iterdir(), key=lambda each: each.name == _MODEL):
                _replace(each, folder / each.name)


def _replace(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _strip_local_version(distribution: str) -> str:
    """Return an installed version without its local part, which no index serves (`2.11.0+cpu`)."""
    return installed_version(distribution).partition("+")[0]
