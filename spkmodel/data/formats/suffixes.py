"""Which files are audio, by the end of their names."""

from pathlib import PurePath

READ = (".wav", ".flac", ".ogg")
"""What a corpus's layout is searched for."""

OTHER = frozenset(
    [
        ".3gp",
        ".aac",
        ".ac3",
        ".aif",
        ".aifc",
        ".aiff",
        ".amr",
        ".ape",
        ".au",
        ".caf",
        ".m4a",
        ".m4b",
        ".mka",
        ".mp2",
        ".mp3",
        ".mp4",
        ".mpc",
        ".nist",
        ".oga",
        ".opus",
        ".ra",
        ".snd",
        ".sph",
        ".tta",
        ".w64",
        ".weba",
        ".webm",
        ".wma",
        ".wv",
    ]
)
"""Audio that is not read; a conversion makes it usable."""


def is_audio(name: str) -> bool:
    """Return whether a name ends as that of an audio file does, of any format."""
    suffix = PurePath(name).suffix.lower()
    return suffix in READ or suffix in OTHER
