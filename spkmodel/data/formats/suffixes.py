"""Which files are audio, by the end of their names."""

from collections.abc import Iterable
from pathlib import PurePath

READ = (
    ".wav",
    ".flac",
    ".ogg",
    # Without loss, by libsndfile or PyAV.
    ".sph",
    ".nist",
    ".aiff",
    ".aif",
    ".aifc",
    ".au",
    ".snd",
    ".caf",
    ".w64",
    ".wv",
    ".tta",
    ".ape",
    ".shn",
    # With loss.
    ".m4a",
    ".m4b",
    ".mp4",
    ".aac",
    ".3gp",
    ".opus",
    ".oga",
    ".mp3",
    ".mp2",
    ".webm",
    ".weba",
    ".mka",
    ".wma",
    ".ac3",
    ".amr",
    ".mpc",
    ".ra",
)
"""What a corpus's layout is searched for. `without_sources` prefers the first ones."""

WITHOUT_HEADER = frozenset([".pcm", ".raw", ".vox"])
"""Samples alone: neither their rate nor their form is in the file."""

OTHER = frozenset([".ds2", ".dss", ".dvf", ".g722", ".g729", ".msv", *WITHOUT_HEADER])
"""Audio that is not read; a conversion makes it usable."""

_RANK = {suffix: rank for rank, suffix in enumerate(READ)}
_CORPUS_FORMATS = _RANK[".ogg"]


def is_audio(name: str) -> bool:
    """Return whether a name ends as that of an audio file does, of any format."""
    suffix = PurePath(name).suffix.lower()
    return suffix in _RANK or suffix in OTHER


def is_read(name: str) -> bool:
    """Return whether a name ends as that of an audio file does that is read."""
    return PurePath(name).suffix.lower() in _RANK


def without_sources(names: Iterable[str]) -> list[str]:
    """Return the names of a folder's audio without those that were converted into one that is read.

    Beside `1.flac`, `1.m4a` is its source and no second recording. Two of WAV, FLAC and Ogg are two
    recordings.
    """
    best: dict[str, int] = {}
    ranked = [(PurePath(name).stem, _rank(name), name) for name in names]
    for stem, rank, _ in ranked:
        best[stem] = min(best.get(stem, rank), rank)
    return [name for stem, rank, name in ranked if rank <= max(best[stem], _CORPUS_FORMATS)]


def _rank(name: str) -> int:
    return _RANK.get(PurePath(name).suffix.lower(), len(_RANK))
