"""Read a YAML config as voxceleb_trainer does: it overrides the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from search.core.errors import UsageError
from search.importers.voxceleb_trainer.option_table import (
    Edition,
    TrainerOption,
    make_unknown_remark,
)
from search.importers.voxceleb_trainer.remarks import Remark
from spkmodel.core import foreign_file

_LARGEST_YAML = 1 << 20


def read_yaml(path: Path, remarks: list[Remark]) -> dict[str, Any]:
    """Return the settings of a YAML file.

    Raises:
        UsageError: if it is missing or is not a list of settings.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; its --config names a YAML file")
    text = foreign_file.read_text(path, _LARGEST_YAML)
    try:
        # Before loading: the loaded mapping no longer shows that a key stood twice.
        _require_unique_keys(path, yaml.compose(text, Loader=yaml.SafeLoader))
        content = yaml.safe_load(text)
    except RecursionError as error:
        raise UsageError(
            f"{path}: nested too deeply; a config has `option: value` lines"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        why = foreign_file.shorten(str(error))
        raise UsageError(f"{path}: not a YAML file that can be used: {why}") from error
    scalars = (str, int, float, bool, type(None))
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, scalars) for key, value in content.items()
    ):
        raise UsageError(f"{path}: a config of the trainer is a list of `option: value` lines")
    if "config" in content:
        remarks.append(Remark("misleads", "config", f"{path.name}: a config cannot name another"))
    return {name: value for name, value in content.items() if name != "config"}


def _require_unique_keys(path: Path, node: Any) -> None:
    """Require that no key stands twice: YAML lets the last one win, which nobody means."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    keys = [key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise UsageError(f"{path}: {', '.join(twice)} is there twice; keep one")


def infer_edition_of_yaml(written: Mapping[str, Any]) -> Edition:
    """Infer the trainer's edition from the network that a YAML file names."""
    return "2020" if written.get("model") in ("ResNetSE34Half", "ResNetSE34") else "2026"


def convert_settings(
    written: Mapping[str, Any],
    known: Mapping[str, TrainerOption],
    typed: Mapping[str, Any],
    remarks: list[Remark],
) -> dict[str, Any]:
    """Return the settings of a YAML file, converted as the trainer converts them."""
    found: dict[str, Any] = {}
    for name, value in written.items():
        if name not in known:
            remarks.append(
                make_unknown_remark(name, known, "the YAML file", "is ignored, with a warning")
            )
            continue
        found[name] = _convert(known[name], value, remarks)
        if name in typed and typed[name] != found[name]:
            remarks.append(
                Remark(
                    "misleads",
                    name,
                    f"the command line says {typed[name]!r}, but the YAML file overrides it: "
                    f"{found[name]!r} counts",
                )
            )
    return found


def _convert(option: TrainerOption, value: Any, remarks: list[Remark]) -> Any:
    if option.kind is bool:
        if isinstance(value, str):
            remarks.append(
                Remark(
                    "misleads",
                    option.name,
                    f"{option.name}: {value!r} is a word, and every word is true there; write "
                    f"{option.name}: true or false without quotes",
                )
            )
        return bool(value)
    try:
        found = option.kind(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{option.name}: {value!r} is not {option.kind.__name__}; the trainer stops at it"
        ) from error
    if option.kind is int and isinstance(value, float) and value != found:
        remarks.append(Remark("misleads", option.name, f"{option.name}: {value} becomes {found}"))
    return found
