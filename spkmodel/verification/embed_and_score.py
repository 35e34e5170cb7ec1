"""Embed utterances, score pairs and compute error rates."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from spkmodel.config import TrainConfig
from spkmodel.core import checkpoint
from spkmodel.core.progress import Progress, silent
from spkmodel.data.crops import Crops, cut_crops
from spkmodel.data.lists import Pair
from spkmodel.data.store import Store
from spkmodel.nn import encoders
from spkmodel.verification import intervals, metrics, scoring

LENGTH_STEP = 1600
"""Samples; utterances are cut at the end to multiples of 0.1 s, so that equal lengths batch."""

_LARGEST_BATCH_SECONDS = 48

Scorer: TypeAlias = Callable[[Mapping[str, Tensor], Sequence[Pair]], np.ndarray]
"""Scores in the order of the pairs, as `scoring.score_pairs` gives them."""


@dataclass(frozen=True)
class Verdict:
    """Scores and error rates of a list of pairs. Rates are fractions."""

    eer: float
    low: float | None
    high: float | None
    """The 95 % interval of `eer` over the draw of speakers; None: too few speakers."""
    min_dcf_p01: float
    min_dcf_p05: float
    threshold: float
    """The score at which misses and false alarms are equal."""
    scores: np.ndarray
    targets: np.ndarray
    speakers: int
    why_no_interval: str = ""

    @property
    def pairs(self) -> int:
        """How many were scored."""
        return len(self.scores)

    @property
    def target_pairs(self) -> int:
        """How many of them are of one speaker."""
        return int(self.targets.sum())


def embed(
    encoder: nn.Module,
    store: Store,
    utterances: Sequence[str],
    device: torch.device | str = "cpu",
    progress: Progress = silent,
    crops: Crops | None = None,
) -> dict[str, Tensor]:
    """Embed utterances, in float32 on the CPU: (dim,) of each, or (crops, dim) of its crops.

    The encoder is put into evaluation mode and left as it was found.
    """
    device = torch.device(device)
    embeddings: dict[str, Tensor] = {}
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode():
            for batch, waveforms in _waveform_batches(store, utterances, crops):
                # Of many or long crops even one utterance's are more than a batch.
                parts = torch.split(waveforms, _rows(waveforms.shape[1]))
                output = torch.cat([encoder(part.to(device)).float().cpu() for part in parts])
                if crops is not None:
                    output = output.reshape(len(batch), crops.count, -1)
                embeddings |= zip(batch, output, strict=True)
                progress(len(embeddings), len(utterances))
    finally:
        encoder.train(was_training)
    return embeddings


def _waveform_batches(
    store: Store, utterances: Sequence[str], crops: Crops | None
) -> Iterator[tuple[list[str], Tensor]]:
    """Yield batches of utterances with their waveforms, or with all their crops in sequence."""
    if crops is not None:
        for batch in _batches(list(utterances), crops.count * crops.samples):
            cuts = [cut_crops(store.waveform(name), crops) for name in batch]
            yield batch, _waveforms(np.concatenate(cuts))
        return
    by_length: dict[int, list[str]] = defaultdict(list)
    for utterance in utterances:
        by_length[whole_steps(len(store.waveform(utterance)))].append(utterance)
    # Longest first, so that memory runs out at once or never.
    for length in sorted(by_length, reverse=True):
        for batch in _batches(by_length[length], length):
            yield batch, _waveforms(np.stack([store.waveform(name)[:length] for name in batch]))


def whole_steps(samples: int) -> int:
    """Return the length that is embedded: whole steps, or all of an utterance shorter than two."""
    return samples if samples < 2 * LENGTH_STEP else samples - samples % LENGTH_STEP


def _batches(utterances: list[str], length: int) -> list[list[str]]:
    size = _rows(length)
    return [utterances[start : start + size] for start in range(0, len(utterances), size)]


def _rows(length: int) -> int:
    """Return how many waveforms of so many samples are embedded at once."""
    return max(1, _LARGEST_BATCH_SECONDS * 16000 // max(1, length))


def _waveforms(samples: np.ndarray) -> Tensor:
    return torch.from_numpy(samples.astype(np.float32) / np.float32(32768))


def evaluate_embeddings(
    embeddings: Mapping[str, Tensor],
    pairs: Sequence[Pair],
    speaker_of: Callable[[str], str],
    score: Scorer = scoring.score_pairs,
) -> Verdict:
    """Score pairs, by default by cosine, and compute the error rates.

    Raises:
        scoring.Collapsed: if embeddings are not finite or all alike; never an EER of those.
    """
    # First: a collapsed network has some EER, too.
    scoring.require_usable(embeddings)
    scores = score(embeddings, pairs)
    targets = np.array([pair.target for pair in pairs], dtype=bool)
    enrolment = [speaker_of(pair.enrolment) for pair in pairs]
    test = [speaker_of(pair.test) for pair in pairs]
    interval = intervals.eer_interval(scores, targets, enrolment, test)
    return Verdict(
        eer=metrics.eer(scores, targets),
        low=interval.low,
        high=interval.high,
        min_dcf_p01=metrics.min_dcf(scores, targets, p_target=0.01),
        min_dcf_p05=metrics.min_dcf(scores, targets, p_target=0.05),
        threshold=metrics.threshold_at_eer(scores, targets),
        scores=scores,
        targets=targets,
        speakers=interval.speakers,
        why_no_interval=interval.why_not,
    )


def utterances_of(pairs: Sequence[Pair]) -> list[str]:
    """Return every utterance of the pairs once, in order of first appearance."""
    return list(dict.fromkeys(path for pair in pairs for path in (pair.enrolment, pair.test)))


def evaluate_encoder(
    encoder: nn.Module,
    store: Store,
    pairs: Sequence[Pair],
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> Verdict:
    """Embed the utterances of `pairs` and score them."""
    embeddings = embed(encoder, store, utterances_of(pairs), device, progress)
    return evaluate_embeddings(embeddings, pairs, store.speaker)


def load_encoder(
    folder: Path, sha256: str | None = None, device: torch.device | str = "cpu"
) -> tuple[nn.Module, TrainConfig]:
    """Load the encoder of a checkpoint folder, ready to embed, and the config that trained it.

    Its weights are the averaged ones where the training kept an average.

    Raises:
        checkpoint.CheckpointError: if the checkpoint is not readable, not the recorded one, or
            does not fit its own config.
    """
    saved = checkpoint.read(folder, sha256)
    config = TrainConfig.model_validate(saved.state["config"])
    encoder = encoders.build(config.encoder)
    try:
        encoder.load_state_dict(saved.below("encoder"))
    except RuntimeError as error:
        raise checkpoint.CheckpointError(
            f"{folder}: its tensors do not fit its own config ({config.encoder.kind}): {error}"
        ) from error
    return encoder.to(device).eval(), config
