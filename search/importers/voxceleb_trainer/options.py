"""Work out the options of a voxceleb_trainer training as that trainer understands them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.importers.voxceleb_trainer.command_line import (
    infer_edition,
    list_unknown_options,
    parse_words,
    strip_program,
)
from search.importers.voxceleb_trainer.option_table import (
    EDITIONS,
    OPTIONS,
    Edition,
    make_unknown_remark,
)
from search.importers.voxceleb_trainer.remarks import Remark
from search.importers.voxceleb_trainer.yaml_file import (
    convert_settings,
    infer_edition_of_yaml,
    read_yaml,
)


@dataclass(frozen=True)
class Options:
    """The options that a training of the trainer would have had."""

    edition: Edition
    values: dict[str, Any]
    given: frozenset[str]
    """The options that were given, on the command line or in the file."""
    remarks: list[Remark] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def parse_options(
    command: Sequence[str], config: Path | None = None, edition: Edition | None = None
) -> Options:
    """Return the options for a command line, a YAML file, or both.

    Args:
        command: words of the command line; interpreter and script may be left out.
        config: the YAML file; by default what `--config` of the command names.
        edition: of the trainer; None: inferred from how the options are written.

    Raises:
        UsageError: for what cannot be read at all. What the trainer would refuse is a remark.
    """
    words = strip_program(command)
    remarks: list[Remark] = []
    found = edition or infer_edition(words, remarks)
    typed, leftover = parse_words(words, found, remarks)
    config = config or (Path(typed["config"]) if typed.get("config") else None)
    written = {} if config is None else read_yaml(config, remarks)
    if edition is None and not words:
        # Only without a command line, whose form tells more.
        found = infer_edition_of_yaml(written)
    known = {o.name: o for o in OPTIONS if EDITIONS.index(o.since) <= EDITIONS.index(found)}
    unknown = [name for name in typed if name not in known]
    for name in [*list_unknown_options(leftover), *unknown]:
        remarks.append(make_unknown_remark(name, known, "the command line", "stops at it"))
        typed.pop(name, None)
    values = {
        name: o.early if found == "2020" and o.early is not None else o.default
        for name, o in known.items()
    }
    # In the trainer's order: defaults, then the command line, then the YAML file.
    values |= typed
    overlaid = convert_settings(written, known, typed, remarks)
    return Options(found, values | overlaid, frozenset(typed) | frozenset(overlaid), remarks)
