"""Find who speaks in a recording, among speakers that are enrolled by folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.core.errors import UsageError
from search.inference.audio_files import find_audio_files
from search.inference.speaker_model import SpeakerModel, mean_embedding
from spkmodel.core.shell import quote_path


@dataclass(frozen=True)
class Identification:
    """Enrolled speakers by their score, best first, and the threshold of the decision."""

    ranking: tuple[tuple[str, float], ...]
    threshold: float

    @property
    def speaker(self) -> str | None:
        """The best speaker if the score reaches the threshold; None: nobody who is enrolled."""
        best, score = self.ranking[0]
        return best if score >= self.threshold else None


@dataclass(frozen=True)
class EnrolledSpeakers:
    """One embedding for each speaker."""

    names: tuple[str, ...]
    embeddings: np.ndarray
    """(speakers, dimensions)."""

    @classmethod
    def from_folder(cls, model: SpeakerModel, folder: Path) -> "EnrolledSpeakers":
        """Embed all recordings below each speaker's folder.

        Raises:
            UsageError: if the folder has no folder of a speaker in it, or one is empty.
        """
        if not folder.is_dir():
            raise UsageError(f"{quote_path(folder)}: no such folder")
        speakers = sorted(path for path in folder.iterdir() if path.is_dir())
        if not speakers:
            raise UsageError(
                f"{quote_path(folder)}: one folder for each speaker is wanted, with the speaker's "
                "recordings in it"
            )
        means = [
            mean_embedding(model.embed_files(find_audio_files([speaker]))) for speaker in speakers
        ]
        return cls(tuple(speaker.name for speaker in speakers), np.stack(means))


def identify(
    model: SpeakerModel,
    enrolled: EnrolledSpeakers,
    recording: Path,
    threshold: float | None = None,
) -> Identification:
    """Score a recording against every enrolled speaker.

    Raises:
        UsageError: if the recording cannot be used, or there is no threshold.
    """
    at = model.require_threshold(threshold)
    (embedding,) = model.embed_files([recording])
    scores = np.asarray(model.score(enrolled.embeddings, embedding[None]))
    order = np.argsort(-scores, kind="stable")
    return Identification(tuple((enrolled.names[i], float(scores[i])) for i in order.tolist()), at)
