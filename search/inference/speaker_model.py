"""A model that embeds waveforms and files, and scores them by cosine."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32

from search.core.errors import UsageError
from search.inference.waveforms import count_dimensions, to_waveform
from search.models.loader import Model

if TYPE_CHECKING:
    import torch

CHUNK = 256
"""Files that are decoded and sorted by length before they are embedded."""

_BATCH_SECONDS = 48
"""Of speech that is embedded at once."""

Waveform = Float32[np.ndarray, " samples"]


@dataclass(frozen=True)
class SpeakerModel:
    """An encoder that is ready to embed, and the threshold that was chosen for it."""

    model: Model
    threshold: float | None
    """The score from which on two recordings count as one speaker's: at the EER of the dev pairs,
    as `promote` recorded it; None for a model that was not promoted."""
    device: str

    @property
    def source(self) -> str:
        """The name of the model for people."""
        return self.model.source

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.model.config.encoder.embedding_dim

    def embed(
        self, waveform: "np.ndarray | torch.Tensor | Sequence[Any]", sample_rate: int = 16000
    ) -> Float32[np.ndarray, "..."]:
        """Return the embedding of a waveform, (dimensions,), or of several, (n, dimensions).

        Args:
            waveform: (samples,), or (n, samples), or a list of waveforms of any lengths. Floats in
                [-1, 1], or int16. Other rates than 16 kHz are resampled.
            sample_rate: in Hz.

        Raises:
            UsageError: for what is no usable waveform, and says why.
        """
        is_one = count_dimensions(waveform) == 1
        given = [waveform] if is_one else list(waveform)
        if not given:
            raise UsageError("no waveform to embed")
        waveforms = [to_waveform(each, place, sample_rate) for place, each in enumerate(given)]
        embeddings = self._embed_all(waveforms)
        return embeddings[0] if is_one else embeddings

    def embed_files(self, paths: Iterable[str | Path]) -> Float32[np.ndarray, "files dimensions"]:
        """Return the embeddings of audio files of any form, in order.

        Raises:
            UsageError: for a file that cannot be read or is no usable speech.
        """
        parts = [embeddings for _, embeddings in self.stream_files(list(paths))]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), np.float32)

    def stream_files(
        self, paths: Sequence[str | Path]
    ) -> Iterator[tuple[Sequence[str | Path], Float32[np.ndarray, "files dimensions"]]]:
        """Yield paths with their embeddings, at most `CHUNK` at a time, in order.

        Memory is that of a chunk's waveforms, however many files there are.
        """
        from spkmodel.data import audio

        for start in range(0, len(paths), CHUNK):
            chunk = paths[start : start + CHUNK]
            try:
                waveforms = list(audio.in_parallel(_read, chunk))
            except audio.AudioError as error:
                raise UsageError(str(error)) from error
            yield chunk, self._embed_all(waveforms)

    def score(self, one: np.ndarray, other: np.ndarray) -> float | Float[np.ndarray, " rows"]:
        """Return the cosine of two embeddings, or of the rows of two arrays of them."""
        first, second = _unit(np.asarray(one)), _unit(np.asarray(other))
        found = (first * second).sum(axis=-1)
        return float(found) if found.ndim == 0 else found

    def verify(
        self, enrolment: Sequence[str | Path], test: str | Path, threshold: float | None = None
    ) -> "Verification":
        """Compare a recording with one or more of a known speaker.

        Several enrolment recordings count as the mean of their embeddings of length 1.

        Raises:
            UsageError: if a file cannot be used, or there is no threshold.
        """
        threshold = self.require_threshold(threshold)
        embeddings = self.embed_files([*enrolment, test])
        score = self.score(mean_embedding(embeddings[:-1]), embeddings[-1])
        assert isinstance(score, float)
        return Verification(score, threshold)

    def require_threshold(self, asked: float | None) -> float:
        """Return the threshold that decisions are made by.

        Raises:
            UsageError: if none is asked for, and none was recorded.
        """
        found = self.threshold if asked is None else asked
        if found is None:
            raise UsageError(
                f"{self.source}: no threshold was recorded for it, since it was not promoted; give "
                "one (--threshold), or promote the trial"
            )
        return found

    def _embed_all(self, waveforms: Sequence[Waveform]) -> Float32[np.ndarray, "n dimensions"]:
        import torch

        from spkmodel.verification.embed_and_score import whole_steps

        found = np.empty((len(waveforms), self.dimensions), dtype=np.float32)
        # As in validation: ends are cut to whole steps, so that equal lengths go together.
        lengths = [whole_steps(len(each)) for each in waveforms]
        with torch.inference_mode():
            for rows in _batches(lengths):
                length = lengths[rows[0]]
                batch = torch.from_numpy(np.stack([waveforms[row][:length] for row in rows]))
                found[rows] = self.model.encoder(batch.to(self.device)).float().cpu().numpy()
        return found


@dataclass(frozen=True)
class Verification:
    """Whether two recordings are of one speaker."""

    score: float
    """Cosine."""
    threshold: float

    @property
    def same_speaker(self) -> bool:
        """The decision: at the threshold it is the same speaker."""
        return self.score >= self.threshold


def mean_embedding(embeddings: Float[np.ndarray, "rows dims"]) -> Float[np.ndarray, " dims"]:
    """Return the mean of embeddings, each scaled to length 1."""
    found: np.ndarray = _unit(embeddings).mean(axis=0)
    return found


def _unit(embeddings: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=-1, keepdims=True)
    unit: np.ndarray = embeddings / np.maximum(lengths, 1e-12)
    return unit


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows of equal length, the longest first, so that memory runs out at once or never."""
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(length, []).append(row)
    for length in sorted(by_length, reverse=True):
        most = max(1, _BATCH_SECONDS * 16000 // max(1, length))
        rows = by_length[length]
        yield from (rows[start : start + most] for start in range(0, len(rows), most))


def _read(path: str | Path) -> Waveform:
    from spkmodel.core.shell import quote_path
    from spkmodel.data import audio

    samples = audio.read_resampled(Path(path))
    if audio.is_silent(samples):
        raise UsageError(f"{quote_path(path)}: it is silent")
    return samples.astype(np.float32) / 32768
