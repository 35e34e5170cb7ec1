"""Utterances out of archives into `wav/<speaker>/`, as 16 kHz mono FLAC."""

import io
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import soundfile

from search.core.errors import UsageError
from search.data.public.layouts import Layout, Place
from search.data.public.unpack import Member
from spkmodel.core.progress import Progress, silent
from spkmodel.data import audio
from spkmodel.data.lists import utterance_problem

_BLOCK = 64
"""Utterances unpacked at a time, and then converted side by side."""


@dataclass
class Gathered:
    """What the archives held."""

    places: dict[str, Place] = field(default_factory=dict)
    """By target; what cannot be used is not among them."""
    texts: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    """Targets of utterances that cannot be decoded or are too short, and why."""


def gather(
    found: Iterable[Member],
    layout: Layout,
    folder: Path,
    into: Gathered,
    expected: int,
    progress: Progress = silent,
) -> None:
    """Place every utterance of `found` below `folder`; one that is there already is left alone.

    An utterance is there whole or not at all, so that work that was interrupted goes on.
    """
    scratch = folder / ".unpacked"
    work = _wanted(found, layout, into)
    while block := list(islice(_unpacked(work, folder, scratch, into), _BLOCK)):
        problems = audio.in_parallel(lambda job: _convert(*job, folder), block)
        for (target, _), problem in zip(block, problems, strict=True):
            if problem:
                into.unusable[target] = problem
                del into.places[target]
        shutil.rmtree(scratch, ignore_errors=True)
        progress(len(into.places), max(expected, len(into.places)))


def _wanted(
    found: Iterable[Member], layout: Layout, into: Gathered
) -> Iterator[tuple[Place, Member]]:
    for member in found:
        for end in layout.texts:
            if member.name == end or member.name.endswith(f"/{end}"):
                content = io.BytesIO()
                member.copy_to(content)
                into.texts[end] = content.getvalue().decode("utf-8", errors="replace")
        place = layout.place(member.name)
        if place is None:
            continue
        if place.target in into.places:
            raise UsageError(
                f"{member.name}: a second file for {place.target}; the folder or archive holds the "
                "corpus more than once"
            )
        if problem := utterance_problem(place.target):
            raise UsageError(f"{member.name}: {problem}")
        into.places[place.target] = place
        yield place, member


def _unpacked(
    work: Iterator[tuple[Place, Member]], folder: Path, scratch: Path, into: Gathered
) -> Iterator[tuple[str, Path]]:
    """Target and unpacked file of those that are not there yet."""
    for place, member in work:
        if (folder / place.target).is_file():
            continue
        scratch.mkdir(parents=True, exist_ok=True)
        file = scratch / f"{len(into.places)}{Path(member.name).suffix.lower()}"
        with file.open("wb") as out:
            member.copy_to(out)
        yield place.target, file


def _convert(target: str, file: Path, folder: Path) -> str:
    """Move or convert an unpacked file to its target; why not, where it cannot be used."""
    final = folder / target
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not _is_as_wanted(file):
            waveform = audio.read_resampled(file)
            file = file.with_suffix(".converted.flac")
            soundfile.write(file, waveform, audio.SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    except audio.AudioError as error:
        return str(error).partition(": ")[2]
    file.replace(final)
    return ""


def _is_as_wanted(file: Path) -> bool:
    """Whether it is 16 kHz mono FLAC already, and its header is possible."""
    try:
        about = soundfile.info(file)
    except soundfile.SoundFileError:
        return False
    form = (about.format, about.subtype, about.samplerate, about.channels)
    if form != ("FLAC", "PCM_16", audio.SAMPLE_RATE, 1):
        return False
    audio.read(file)  # whole, and long enough
    return True
