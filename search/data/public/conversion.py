"""Convert the utterances of archives into `wav/<speaker>/`, as 16 kHz mono FLAC."""

import io
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import soundfile

from search.core.errors import UsageError
from search.data.public.layouts import Destination, Layout
from search.data.public.unpack import Member
from spkmodel.core.progress import Progress, silent
from spkmodel.data import audio
from spkmodel.data.formats.utterance_path import utterance_problem

_BLOCK = 64
"""How many utterances are unpacked at a time, and then converted in parallel."""


@dataclass
class ConvertedUtterances:
    """The utterances that were found and converted."""

    destinations: dict[str, Destination] = field(default_factory=dict)
    """The usable utterances by target."""
    texts: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    """Targets of utterances that cannot be decoded or are too short, and why."""
    scaled: int = 0
    """Utterances that were above full scale when they were converted now, and were divided."""


def convert_members(
    found: Iterable[Member],
    layout: Layout,
    folder: Path,
    into: ConvertedUtterances,
    expected: int,
    progress: Progress = silent,
) -> None:
    """Convert every utterance of `found` into a file below `folder`; skip those already there.

    A file is there whole or not at all, so that interrupted work can be continued.
    """
    scratch = folder / ".unpacked"
    work = _select(found, layout, into)
    while block := list(islice(_unpack(work, folder, scratch, into), _BLOCK)):
        # The archive is read in order; decoding, which takes most of the time, runs in parallel.
        problems = audio.in_parallel(lambda job: _convert(*job, folder), block)
        for (target, _), (problem, divided_by) in zip(block, problems, strict=True):
            into.scaled += divided_by > 1
            if problem:
                into.unusable[target] = problem
                del into.destinations[target]
        shutil.rmtree(scratch, ignore_errors=True)
        progress(len(into.destinations), max(expected, len(into.destinations)))


def _select(
    found: Iterable[Member], layout: Layout, into: ConvertedUtterances
) -> Iterator[tuple[Destination, Member]]:
    for member in found:
        for end in layout.texts:
            if member.name == end or member.name.endswith(f"/{end}"):
                content = io.BytesIO()
                member.copy_to(content)
                into.texts[end] = content.getvalue().decode("utf-8", errors="replace")
        destination = layout.locate(member.name)
        if destination is None:
            continue
        if destination.target in into.destinations:
            raise UsageError(
                f"{member.name}: a second file for {destination.target}; the folder or archive "
                "holds the corpus more than once"
            )
        if problem := utterance_problem(destination.target):
            raise UsageError(f"{member.name}: {problem}")
        into.destinations[destination.target] = destination
        yield destination, member


def _unpack(
    work: Iterator[tuple[Destination, Member]],
    folder: Path,
    scratch: Path,
    into: ConvertedUtterances,
) -> Iterator[tuple[str, Path]]:
    """Yield target and unpacked file of the utterances that are not there yet."""
    for destination, member in work:
        # Left by an interrupted call; it is whole, since `_convert` renames it into place.
        if (folder / destination.target).is_file():
            continue
        scratch.mkdir(parents=True, exist_ok=True)
        file = scratch / f"{len(into.destinations)}{Path(member.name).suffix.lower()}"
        with file.open("wb") as out:
            member.copy_to(out)
        yield destination.target, file


def _convert(target: str, file: Path, folder: Path) -> tuple[str, float]:
    """Move or convert an unpacked file to its target.

    Returns:
        Why it cannot be used, or empty; and by what its samples were divided.
    """
    divided_by = 1.0
    final = folder / target
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not _has_wanted_format(file):
            decoded = audio.decode(file, resample=True)
            divided_by = decoded.divided_by
            file = file.with_suffix(".converted.flac")
            samples = decoded.samples
            soundfile.write(file, samples, audio.SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    except audio.AudioError as error:
        return str(error).partition(": ")[2], 1.0
    # A rename within the folder: the file is whole wherever the work is interrupted.
    file.replace(final)
    return "", divided_by


def _has_wanted_format(file: Path) -> bool:
    """Return whether a file is 16 kHz mono FLAC already."""
    try:
        about = soundfile.info(file)
    except soundfile.SoundFileError:
        return False
    form = (about.format, about.subtype, about.samplerate, about.channels)
    if form != ("FLAC", "PCM_16", audio.SAMPLE_RATE, 1):
        return False
    audio.read(file)  # raises AudioError if it is cut short, or too short to use
    return True
