"""Lossy codecs by libsndfile, as used by a messenger, a podcast and a mobile phone.

The same library gives the same samples every time; another version of it may not, which is why
stores of this condition carry the version.
"""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
import torch
import torchaudio.functional
from jaxtyping import Float32
from torch import Tensor

from spkmodel.data.audio import SAMPLE_RATE

_SILENCE_AFTER = 1600
"""So that no encoder's last block cuts the end off."""


@dataclass(frozen=True)
class Codec:
    """One way to encode; rates are those of read speech."""

    name: str
    container: str
    subtype: str
    rate: int = SAMPLE_RATE
    compression_level: float | None = None
    """0 to 1, the most."""


CODECS = (
    Codec("Opus, 8 kbit/s", "OGG", "OPUS", compression_level=1.0),
    Codec("Opus, 20 kbit/s", "OGG", "OPUS", compression_level=0.95),
    Codec("MP3, 19 kbit/s", "MP3", "MPEG_LAYER_III", compression_level=0.99),
    Codec("Vorbis, 35 kbit/s", "OGG", "VORBIS", compression_level=1.0),
    Codec("GSM 06.10, 13 kbit/s at 8 kHz", "WAV", "GSM610", rate=8_000),
)
"""In the order that the draw counts them in; added ones go to the end and change every draw."""


def library() -> str:
    """Return the library's version, which decides the samples: `libsndfile 1.2.2`."""
    return f"libsndfile {soundfile.__libsndfile_version__}"


def encode_and_decode(
    waveform: Float32[np.ndarray, " samples"], codec: Codec
) -> Float32[np.ndarray, " samples"]:
    """Encode and decode a waveform; its length stays the same."""
    padded = np.pad(waveform, (0, _SILENCE_AFTER))
    coded = io.BytesIO()
    soundfile.write(
        coded,
        _resampled(padded, SAMPLE_RATE, codec.rate),
        codec.rate,
        format=codec.container,
        subtype=codec.subtype,
        compression_level=codec.compression_level,
    )
    coded.seek(0)
    decoded, rate = soundfile.read(coded, dtype="float32")
    assert rate == codec.rate, f"{codec.name} came back at {rate} Hz"
    processed = _resampled(np.asarray(decoded), codec.rate, SAMPLE_RATE)[: len(waveform)]
    assert len(processed) == len(waveform), f"{codec.name} lost samples"
    return processed


def _resampled(waveform: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    if rate == wanted:
        return waveform
    resampled: Tensor = torchaudio.functional.resample(torch.from_numpy(waveform), rate, wanted)
    return np.asarray(resampled.numpy())
