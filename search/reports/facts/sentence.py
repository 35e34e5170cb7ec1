"""A sentence of a verdict, with the question that it answers."""

from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "bad", "open", "plain"]
"""Better, worse, not decided; or no comparison."""

NO_SEARCH = "Better than not searching?"
SECOND = "Better than the second best?"
LUCK = "Best, or lucky?"
NO_NETWORK = "Better than no network at all?"


@dataclass(frozen=True)
class Sentence:
    """One sentence of the verdict, with the question that it answers."""

    tone: Tone
    question: str
    text: str
