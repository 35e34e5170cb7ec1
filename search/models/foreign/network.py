"""Read a network of voxceleb_trainer as an encoder of ours that gives the same embeddings."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from search.core.errors import UsageError
from search.models.foreign import architecture, weight_names, weights_file
from search.models.foreign.architecture import KNOWN, Reading
from search.models.foreign.weights_file import WeightsFile
from spkmodel.config import Encoder, RawNet3
from spkmodel.nn import encoders

_INT16 = 32768.0
_FILTERS_AGREE = 1e-4


@dataclass(frozen=True)
class Network:
    """An encoder, its config, and the assumptions that were made."""

    encoder: nn.Module
    config: Encoder
    epoch: int
    """0 where the file does not say."""
    sha256: str
    """The hash of the file."""
    notes: tuple[str, ...]


class AtInt16Scale(nn.Module):
    """Feeds samples of +-1 to an encoder that was trained on samples of +-32768."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return embeddings (batch, dim) of waveforms (batch, samples) in +-1."""
        return self.encoder(waveforms * _INT16)


def read_network(path: Path, reading: Reading) -> Network:
    """Read the network in a checkpoint.

    Args:
        path: of a file that the trainer saved, in any of its forms.
        reading: options that the weights do not record.

    Raises:
        UsageError: for any other file; it says what the file is and what would be right.
    """
    file = weights_file.read_weights_file(path)
    try:
        config = architecture.infer_config(file.encoder, reading)
    except (UsageError, ValueError, KeyError, IndexError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path}: {what}") from error
    encoder = encoders.build(config)
    _require_same_features(path, file.encoder, encoder)
    _load_weights(path, encoder, config, file.encoder)
    int16 = _is_int16(file, config, reading)
    return Network(
        AtInt16Scale(encoder) if int16 else encoder,
        config,
        file.epoch or 0,
        file.sha256,
        tuple(_describe_assumptions(file, config, reading, int16)),
    )


def _load_weights(
    path: Path, encoder: nn.Module, config: Encoder, weights: dict[str, Tensor]
) -> None:
    placed, unknown = weight_names.rename_weights(weights, config)
    if unknown:
        raise UsageError(
            f"{path}: {len(unknown)} weights have no place in {config.kind}, such as {unknown[0]}; "
            f"known are {KNOWN}"
        )
    # The front end of mels is not learned: ours, which `_require_same_features` has compared.
    ours = {n: t for n, t in encoder.state_dict().items() if n.startswith(_NOT_LEARNED)}
    try:
        encoder.load_state_dict(ours | placed)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise UsageError(f"{path}: does not fit {config.kind}: {'; '.join(lines)}") from error


_NOT_LEARNED = ("front_end.spectrogram.", "front_end.mel_scale.")


def _require_same_features(path: Path, weights: dict[str, Tensor], encoder: nn.Module) -> None:
    """Require that the checkpoint's window and filterbank are those that are computed here.

    Raises:
        UsageError: if they are not: the network was trained at another rate, or on other bands.
    """
    ours = encoder.state_dict()
    for ending in ("spectrogram.window", "mel_scale.fb"):
        theirs = [tensor for name, tensor in weights.items() if name.endswith(ending)]
        own = ours.get(f"front_end.{ending}")
        if not theirs or own is None:
            continue
        # Compared, not loaded: with another rate or band the embeddings would silently be bad.
        same = theirs[0].shape == own.shape and torch.allclose(theirs[0], own, atol=_FILTERS_AGREE)
        if not same:
            raise UsageError(
                f"{path}: its {ending.rpartition('.')[2]} {tuple(theirs[0].shape)} is not that of "
                f"16 kHz audio, 25 ms windows and {own.shape[-1]} mels from 0 to 8 kHz "
                f"{tuple(own.shape)}: it was trained on other features than voxceleb_trainer's"
            )


def _is_int16(file: WeightsFile, config: Encoder, reading: Reading) -> bool:
    """Return whether its training read audio as integers, as far as can be told.

    Files with an epoch (2026) and those of torch 2.1 (2023) are later than the change, and so is
    RawNet3. Of the others, the published ones are earlier.
    """
    if reading.int16_scale is not None:
        return reading.int16_scale
    later = file.form == "whole" or file.torch_since_2_1 or isinstance(config, RawNet3)
    return not later


def _describe_assumptions(
    file: WeightsFile, config: Encoder, reading: Reading, int16: bool
) -> list[str]:
    said = []
    if isinstance(config, RawNet3):
        said.append(f"assumed: sinc_stride {reading.sinc_stride} (--sinc-stride)")
    else:
        flag = "--no-log-input" if reading.log_input else "--log-input"
        said.append(f"assumed: log_input {reading.log_input} ({flag} for the other)")
    scale = "+-32768" if int16 else "+-1"
    other = "--no-int16-scale" if int16 else "--int16-scale"
    given = "said" if reading.int16_scale is not None else "assumed"
    said.append(f"{given}: trained on samples of {scale} ({other} for the other)")
    if file.loss:
        said.append(f"trained with {_describe_loss(file.loss)}")
    elif file.form != "encoder":
        said.append(
            "trained with triplet or proto, which leave no weights (the trainer does not bring "
            "proto's embeddings to unit length; here they are)"
        )
    return said


def _describe_loss(weights: dict[str, Tensor]) -> str:
    """Name the trainer's loss by its weights."""
    match sorted(weights):
        case ["W"]:
            return f"amsoftmax, {weights['W'].shape[1]} speakers"
        case ["weight"]:
            return f"aamsoftmax, {weights['weight'].shape[0]} speakers"
        case ["fc.bias", "fc.weight"]:
            return f"softmax, {weights['fc.weight'].shape[0]} speakers"
        case ["b", "w"]:
            return "angleproto or ge2e"
        case [*names] if {"softmax.fc.weight", "angleproto.w"} <= set(names):
            return f"softmaxproto, {weights['softmax.fc.weight'].shape[0]} speakers"
        case other:
            return f"a loss with the weights {', '.join(other)}"
