"""Define what is known of a public corpus before it is fetched."""

from collections.abc import Callable
from dataclasses import dataclass, field

from search.data.public.layouts import Layout
from search.data.public.transfer import Remote


@dataclass(frozen=True)
class Archive:
    """A tar or zip file, perhaps cut into pieces."""

    pieces: tuple[Remote, ...]
    joined: str = ""
    """The name of the file that its pieces are put together to, if people do that."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its pieces, in order."""
        return tuple(piece.name for piece in self.pieces)


@dataclass(frozen=True)
class Lists:
    """Official lists that are published beside the archives."""

    pairs: dict[Remote, int]
    """Lists of pairs, and how many pairs each has, so that one cut short is noticed."""
    inside: dict[str, int] = field(default_factory=dict)
    """Lists of pairs that are in the archives (`Layout.pairs` reads them), and their lengths."""
    identification: Remote | None = None
    """A list that assigns utterances to train (1), dev (2) or test (3); all speakers in each."""


@dataclass(frozen=True)
class PublicCorpus:
    """A corpus that anybody can have, as it is published."""

    name: str
    about: str
    speakers: int
    utterances: int
    hours: float
    download_bytes: int
    """Approximate."""
    folder_bytes: int
    """Approximate size of the corpus folder: 16 kHz mono FLAC."""
    licence: str
    page: str
    layout: Layout
    archives: Callable[[], tuple[Archive, ...]]
    lists: Callable[[], Lists] = lambda: Lists({})
    access: str = ""
    """How to get access, if not everybody has it."""
    note: str = ""
