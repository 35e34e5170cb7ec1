"""Run a registered model in MLflow: waveforms in, embeddings out; no pickle.

MLflow stores this file and `spkmodel` beside the weights and executes them when the model is
loaded, so that it loads for years wherever its requirements are installed. `evaluate` never does
that: it takes the weights and the config and uses its own code.
"""

import json
from pathlib import Path

import numpy as np
import torch
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext


class SpeakerEncoder(PythonModel):  # type: ignore[misc]  # mlflow has no types
    """Returns embeddings (batch, dim) of waveforms (batch, samples), 16 kHz, float32 in [-1, 1]."""

    def load_context(self, context: PythonModelContext) -> None:
        """Build the network that the config describes and give it the weights."""
        from safetensors.torch import load_file

        from spkmodel.config import TrainConfig
        from spkmodel.nn import encoders

        config = json.loads(Path(context.artifacts["config"]).read_text(encoding="utf-8"))
        self._encoder = encoders.build(TrainConfig.model_validate(config).encoder)
        self._encoder.load_state_dict(load_file(context.artifacts["weights"]))
        self._encoder.eval()

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow's signature)
        model_input: np.ndarray,
        params: dict[str, object] | None = None,  # noqa: ARG002 (MLflow's signature)
    ) -> np.ndarray:
        """Return embeddings that are not length-normalised; compare two by their cosine."""
        from spkmodel.verification.embed_and_score import whole_steps

        waveforms = torch.as_tensor(np.asarray(model_input, dtype=np.float32))
        # As in validation, so that the published figures hold for what this returns.
        whole = waveforms[:, : whole_steps(waveforms.shape[-1])]
        with torch.inference_mode():
            return self._encoder(whole).float().numpy()


set_model(SpeakerEncoder())
