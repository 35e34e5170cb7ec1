"""Run a registered model in MLflow: waveforms in, embeddings out; no pickle.

MLflow stores this file and `spkmodel` beside the weights and executes them when the model is
loaded, so that it loads for years wherever its requirements are installed. `evaluate` never does
that: it takes the weights and the config and uses its own code.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

_LOUDEST = 4.0
"""Of floats: no resampling overshoots full scale so far, and integers in a float array do."""


class SpeakerEncoder(PythonModel):  # type: ignore[misc]  # mlflow has no types
    """Returns embeddings (waveforms, dim) of 16 kHz mono waveforms, or of audio files."""

    def load_context(self, context: PythonModelContext) -> None:
        """Build the network that the config describes and give it the weights."""
        from safetensors.torch import load_file

        from search.models.loader import build_encoder
        from spkmodel.config import TrainConfig
        from spkmodel.core import foreign_file

        config = foreign_file.read_json_object(Path(context.artifacts["config"]))
        weights = load_file(context.artifacts["weights"])
        self._encoder = build_encoder(TrainConfig.model_validate(config).encoder, weights)
        self._encoder.eval()

    # MLflow would take a type hint of the input for a schema, and refuse all other kinds.
    def predict(  # type: ignore[no-untyped-def]
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow's signature)
        model_input,  # noqa: ANN001
        params: dict[str, object] | None = None,  # noqa: ARG002 (MLflow's signature)
    ) -> np.ndarray:
        """Return embeddings that are not length-normalised; compare two by their cosine.

        Args:
            context: MLflow's.
            model_input: one waveform (samples,), a batch (waveforms, samples), a list of waveforms
                of any lengths, or paths of audio files, which are resampled. Floats lie in
                [-1, 1]; int16 is full scale. A table has one of these in its only column.
            params: MLflow's; none is known.

        Raises:
            ValueError: for what is no waveform, and says why.
        """
        from spkmodel.verification.embed_and_score import whole_steps

        rows = []
        with torch.inference_mode():
            for waveform in _to_waveforms(model_input):
                # As in validation, so that the published figures hold for what this returns.
                whole = waveform[: whole_steps(len(waveform))]
                rows.append(self._encoder(torch.from_numpy(whole)[None]).float().numpy()[0])
        return np.stack(rows)


def _to_waveforms(model_input: Any) -> Iterator[np.ndarray]:
    """Yield every waveform of an input: float32, (samples,)."""
    if hasattr(model_input, "columns"):
        if len(model_input.columns) != 1:
            raise ValueError(
                f"a table of waveforms has one column, with a waveform or a path in each row, got "
                f"{len(model_input.columns)} columns"
            )
        model_input = model_input.iloc[:, 0].tolist()
    if isinstance(model_input, str | Path):
        model_input = [model_input]
    if isinstance(model_input, np.ndarray) and model_input.dtype.kind in "OU":
        model_input = model_input.tolist()
    if not isinstance(model_input, Sequence | np.ndarray) or len(model_input) == 0:
        raise ValueError(f"waveforms or paths are wanted, got {type(model_input).__name__}")
    if np.ndim(model_input[0]) == 0 and not isinstance(model_input[0], str | Path):
        model_input = [model_input]
    for place, each in enumerate(model_input):
        yield _to_waveform(each, place)


def _to_waveform(given: Any, place: int) -> np.ndarray:
    from spkmodel.data import audio

    if isinstance(given, str | Path):
        return audio.read_resampled(Path(given)).astype(np.float32) / 32768
    waveform = np.asarray(given)
    if waveform.ndim != 1:
        raise ValueError(
            f"waveform {place}: mono of shape (samples,) is wanted, got shape {waveform.shape}"
        )
    if waveform.dtype == np.int16:
        waveform = waveform.astype(np.float32) / 32768
    elif waveform.dtype.kind != "f":
        raise ValueError(
            f"waveform {place}: float in [-1, 1] or int16 is wanted, got {waveform.dtype}"
        )
    if len(waveform) < audio.SHORTEST_SECONDS * audio.SAMPLE_RATE:
        raise ValueError(
            f"waveform {place}: {len(waveform)} samples at 16 kHz are too few; at least "
            f"{audio.SHORTEST_SECONDS} s are wanted"
        )
    loudest = float(np.abs(waveform).max())
    if not loudest <= _LOUDEST:
        raise ValueError(
            f"waveform {place}: values up to {loudest:g}; floats lie in [-1, 1], and integers are "
            "passed as int16"
        )
    return waveform.astype(np.float32)


set_model(SpeakerEncoder())
