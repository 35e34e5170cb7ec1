"""The verb `import-voxceleb-trainer`: convert a voxceleb_trainer config to a `TrainConfig`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.options import Json
from search.reporting import console

if TYPE_CHECKING:
    from search.importers.voxceleb_trainer.options import Options
    from search.importers.voxceleb_trainer.remarks import Remark
    from spkmodel.config import TrainConfig

IMPORT = console.help_text(
    "Convert a voxceleb_trainer config or command line to a config of this project, and say what "
    "would go wrong.",
    "spksearch import-voxceleb-trainer configs/ResNetSE34L_AM.yaml",
    "spksearch import-voxceleb-trainer --space mine.py -- \\\n"
    "      python ./trainSpeakerNet.py --model ResNetSE34Half --trainfunc triplet --batch_size 20",
    "spksearch import-voxceleb-trainer --corpus data/vox configs/ResNetSE34L_AP.yaml > mine.json",
    more="The config goes to stdout as JSON; what would have failed or gone wrong there, and what "
    "to type here, to stderr. Of a line with --eval there is no config: the command that evaluates "
    "is printed. What the trainer would have stopped at is mended as little as possible, and said.",
)


def import_voxceleb_trainer(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE.yaml] [-- COMMAND...]",
            help="Its YAML file; after --, its command line; or both.",
            show_default=False,
        ),
    ] = None,
    trainer: Annotated[
        Literal["2020", "2021", "2026"] | None,
        typer.Option(
            help="Its edition: until 2020-11-23, until 2026-04-15, or since [default: by how the "
            "options are written]."
        ),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Whose training speakers its options are held against."),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(metavar="FILE.py", help="Write a space of this one config there, to launch."),
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Convert a voxceleb_trainer config or command line, and print what differs here."""
    from search.core.errors import UsageError
    from search.importers.voxceleb_trainer import commands, conversion, review
    from search.importers.voxceleb_trainer.options import parse_options

    yaml, command = _split_arguments(given or [])
    if yaml is None and not command:
        raise UsageError("give its YAML file, or its command line after --; or both")
    options = parse_options(command, yaml, trainer)
    where = "DIR" if corpus is None else str(corpus)
    if options["eval"]:
        remarks = review.review_evaluation(options)
        _print_import(
            options, remarks, None, commands.format_evaluation_commands(options, where), json_wanted
        )
        return
    found = conversion.convert_training(
        options, None if corpus is None else _count_speakers(corpus)
    )
    if space is not None:
        _write_space(space, found.config, yaml)
    file = str(space) if space is not None else "mine.py"
    lines = commands.format_training_commands(options, file, found.epochs, where)
    if space is None:
        lines.insert(0, "spksearch import-voxceleb-trainer --space mine.py ...  # writes the file")
    _print_import(options, list(found.remarks), found.config, lines, json_wanted)


def _split_arguments(given: list[str]) -> tuple[Path | None, list[str]]:
    """Return the YAML file, if the first argument names one, and the command line."""
    if given and given[0].endswith((".yaml", ".yml")):
        return Path(given[0]), given[1:]
    return None, given


def _count_speakers(corpus: Path) -> int:
    from spkmodel.data.corpus import open_corpus

    return len({entry.speaker for entry in open_corpus(corpus).train})


def _write_space(path: Path, config: "TrainConfig", yaml: Path | None) -> None:
    from search.core.errors import UsageError
    from search.importers.voxceleb_trainer import space_file

    if path.suffix != ".py":
        raise UsageError(f"--space {path}: a space is a .py file")
    origin = "a command line of voxceleb_trainer" if yaml is None else yaml.name
    text = space_file.format_space(
        config, f"Does a training of voxceleb_trainer do better here ({origin})?"
    )
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise UsageError(f"{path} is there and is another; choose another --space")
    path.write_text(text, encoding="utf-8")


def _print_import(
    options: "Options",
    remarks: "list[Remark]",
    config: "TrainConfig | None",
    lines: list[str],
    json_wanted: bool,
) -> None:
    """Print config or command to stdout, the rest to stderr; all to stdout with --json."""
    if json_wanted:
        from search.reporting.documents import document

        found = None if config is None else config.model_dump(mode="json")
        console.print_json(
            document(
                "import",
                edition=options.edition,
                config=found,
                remarks=[asdict(remark) for remark in remarks],
                commands=lines,
            )
        )
        return
    for line in _format_remarks(remarks):
        console.print_note(line)
    if config is None:
        console.print_result(*lines)
        return
    console.print_note("here:")
    for line in lines:
        console.print_note(f"  {line}")
    console.print_json(config.model_dump(mode="json"))


def _format_remarks(remarks: "list[Remark]") -> list[str]:
    from search.importers.voxceleb_trainer.remarks import HEADINGS

    lines = []
    for kind, heading in HEADINGS.items():
        texts = [remark.text for remark in remarks if remark.kind == kind]
        if texts:
            lines += [f"{heading}:", *(f"  {text}" for text in texts)]
    return lines
