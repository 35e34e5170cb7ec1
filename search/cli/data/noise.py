"""The verbs on recordings of noise and rooms: check, pack."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.options import Json
from search.core.errors import UsageError
from search.reporting import console
from search.reporting.console import help_text
from spkmodel.core.shell import quote_path

if TYPE_CHECKING:
    from rich.table import Table

    from spkmodel.augment.sound_categories import Kind
    from spkmodel.augment.sound_check import NoiseReport

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=help_text(
        "Check and pack recordings of noise and rooms: MUSAN, RIRS_NOISES or your own.",
        "spksearch corpus fetch musan data/noise      # and rirs_noises",
        "spksearch noise check data/noise",
        "spksearch noise pack data/noise",
        "spksearch launch quickstart --corpus DIR --noise data/noise --rooms data/noise",
        more="Folders laid out as MUSAN or RIRS_NOISES are recognised, side by side too; each "
        "category (noise, music, speech; small, medium, large, real rooms) is split by file into "
        "train, dev and test. In any other folder all files are alike: 16 kHz, mono.",
    ),
)

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the recordings.")]
_As = Annotated[
    Literal["noise", "rooms"] | None,
    typer.Option("--as", help="What a folder without categories holds."),
]
_KINDS: "dict[str, Kind]" = {"noise": "ambience", "rooms": "room"}


@app.command(
    context_settings=_HELP,
    help=help_text(
        "Read every file, and print categories, hours, splits and all that is wrong.",
        "spksearch noise check data/noise             # musan, RIRS_NOISES or both",
        "spksearch noise check recordings --as noise",
        "spksearch noise check data/noise --json",
    ),
)
def check(folder: _Folder, kind: _As = None, json_wanted: Json = False) -> None:
    """Check the recordings of a folder; exit with 2 if anything has to be mended."""
    from search.reporting.terminal import stderr_display
    from spkmodel.augment import sound_check

    kinds = _choose_kinds(folder, kind, "check")
    with stderr_display().task("reading recordings", "files") as progress:
        report = sound_check.check_recordings(folder, kinds, progress)
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("noise", folder=str(folder.absolute()), **asdict(report)))
    else:
        console.print_result(_table(report), *report.problems)
    if report.problems:
        count = len(report.problems)
        console.print_note(f"{count} problem{'' if count == 1 else 's'} in all")
        raise typer.Exit(2)
    if not json_wanted:
        console.print_note(f"next: spksearch noise pack {quote_path(folder)}{_as(kind)}")


@app.command(
    context_settings=_HELP,
    help=help_text(
        "Pack recordings into this machine's cache, where all trials map them.",
        "spksearch noise pack data/noise              # musan, RIRS_NOISES or both",
        "spksearch noise pack recordings --as noise",
        more="launch does it by itself on first use, and so does each node of a cluster. A pack is "
        "whole or not there; one of an older state of the folder is removed. The cache is "
        "SPKSEARCH_CACHE (default: a folder of /tmp).",
    ),
)
def pack(folder: _Folder, kind: _As = None) -> None:
    """Pack the ambiences and the rooms of a folder for this node."""
    from search.reporting.terminal import stderr_display
    from spkmodel.augment.noise_and_rooms import list_recordings, pack_recordings

    options = []
    for each in _choose_kinds(folder, kind, "pack"):
        listed = list_recordings(folder, each)
        name = next(option for option, known in _KINDS.items() if known == each)
        with stderr_display().task(f"packing {name}", "files") as progress:
            packed = pack_recordings(listed, progress)
        hours = float(packed.sounds.lengths.sum()) / 16_000 / 3600
        console.print_result(f"{name}: {len(packed.names):,} files, {hours:.1f} hours packed")
        options.append(f"--{name} {quote_path(folder)}")
    console.print_note(f"next: spksearch launch quickstart --corpus DIR {' '.join(options)}")


def _choose_kinds(folder: Path, asked: str | None, verb: str) -> "Sequence[Kind]":
    """Return what the folder has, or what a flat one was said to have.

    Raises:
        UsageError: if the folder is flat and nothing was said, or the other way about.
    """
    from spkmodel.augment.sound_check import find_kinds

    found = find_kinds(folder)
    if found and asked is not None:
        raise UsageError(
            f"{folder}: has categories, which say what each file is; leave --as {asked} out"
        )
    if not found and asked is None:
        raise UsageError(
            f"{folder}: no folders of MUSAN (noise, music, speech) or RIRS_NOISES in it; say what "
            f"its files are: spksearch noise {verb} {quote_path(folder)} --as noise, or --as rooms"
        )
    return found if asked is None else [_KINDS[asked]]


def _as(kind: str | None) -> str:
    return f" --as {kind}" if kind else ""


def _table(report: "NoiseReport") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("", "category", "files", "hours", "train", "dev", "test"):
        table.add_column(heading, justify="left" if heading in ("", "category") else "right")
    for each in report.categories:
        table.add_row(
            "noise" if each.kind == "ambience" else "rooms",
            each.category or "-",
            f"{each.files:,}",
            f"{each.hours:.1f}",
            *(f"{count:,}" for count in each.splits.values()),
        )
    return table
