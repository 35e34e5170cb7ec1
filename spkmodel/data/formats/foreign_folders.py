"""Recognise folders that other tools wrote, and name the command that imports them."""

import re
from pathlib import Path

from spkmodel.core.shell import quote_path
from spkmodel.data.formats.other_lists import Recognised
from spkmodel.data.formats.speaker_folders import find_speaker_folders

_VOXCELEB_SPEAKER = re.compile(r"id\d{5}")
_OWN_TABLES = ("speakers.tsv", "utterances.tsv")


def recognise_folder(folder: Path) -> Recognised | None:
    """Return what a folder looks like that has neither lists of ours nor a folder wav."""
    kaldi = [
        path.parent
        for name in ("wav.scp", "raw.list")
        for path in (folder / name, *sorted(folder.glob(f"*/{name}")))
        if path.is_file()
    ]
    if kaldi:
        return _importable("Kaldi's or WeSpeaker's data", "kaldi", list(dict.fromkeys(kaldi)))
    tables = [
        path
        for suffix in ("csv", "tsv")
        for path in sorted(folder.glob(f"*.{suffix}"))
        if path.name not in _OWN_TABLES
    ]
    if len(tables) == 1:
        return _importable("a table of utterances", "csv", tables)
    top, speakers = find_speaker_folders(folder.resolve())
    if speakers and all(map(_VOXCELEB_SPEAKER.fullmatch, speakers)):
        return _importable("VoxCeleb's audio", "voxceleb", [folder])
    if not speakers:
        return None
    some = ", ".join(quote_path(each) for each in speakers[:3])
    corpus = folder.resolve().with_name(f"{folder.resolve().name}-corpus")
    return Recognised(
        "speakers_without_wav",
        f"{len(speakers)} folders with audio that look like speakers ({some}, ...) in "
        f"{quote_path(top)}; a corpus has them in wav/; make {quote_path(corpus)} one",
        f"mkdir {quote_path(corpus)} && ln -s {quote_path(top)} {quote_path(corpus / 'wav')}",
    )


def _importable(what: str, form: str, paths: list[Path]) -> Recognised:
    shown = " ".join(quote_path(path) for path in paths)
    return Recognised(
        "foreign_folder",
        f"{shown} looks like {what}; import it",
        f"spksearch corpus import {shown} --from {form}",
    )
