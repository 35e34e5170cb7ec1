"""Its options as it understands them: names, kinds and defaults of its editions, and its traps.

What a command line or a YAML file comes to there is worked out by the same rules: abbreviations
are completed, `bool("False")` is true, the YAML file overrides the command line.
"""

import argparse
import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn

import yaml

from search.core.errors import UsageError
from search.importers.voxceleb_trainer.remarks import Remark

Edition = Literal["2020", "2021", "2026"]
"""2020: up to 2020-11-23, as the lab report used it. 2021: from then to 2026-04-15. 2026: since."""
EDITIONS: tuple[Edition, ...] = ("2020", "2021", "2026")

_LARGEST_YAML = 1 << 20
_SWITCHES = ("log_input", "augment")
"""They take a value up to 2026, and none since."""
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class _Option:
    name: str
    kind: type
    default: Any
    since: Edition = "2020"
    early: Any = None
    """The default in 2020, where it was another."""


_OPTIONS = (
    _Option("config", str, None),
    _Option("max_frames", int, 200),
    _Option("eval_frames", int, 300),
    _Option("batch_size", int, 200),
    _Option("max_seg_per_spk", int, 500, early=100),
    _Option("nDataLoaderThread", int, 5),
    _Option("augment", bool, False),
    _Option("seed", int, 10, since="2021"),
    _Option("test_interval", int, 10),
    _Option("max_epoch", int, 500),
    _Option("trainfunc", str, ""),
    _Option("optimizer", str, "adam"),
    _Option("scheduler", str, "steplr"),
    _Option("lr", float, 0.001),
    _Option("lr_decay", float, 0.95),
    _Option("weight_decay", float, 0.0),
    _Option("hard_prob", float, 0.5),
    _Option("hard_rank", int, 10),
    _Option("margin", float, 0.1, early=1.0),
    _Option("scale", float, 30.0, early=15.0),
    _Option("nPerSpeaker", int, 1),
    _Option("nClasses", int, 5994),
    _Option("dcf_p_target", float, 0.05, since="2021"),
    _Option("dcf_c_miss", float, 1.0, since="2021"),
    _Option("dcf_c_fa", float, 1.0, since="2021"),
    _Option("initial_model", str, ""),
    _Option("save_path", str, "exps/exp1", early="./data/exp1"),
    _Option("train_list", str, "data/train_list.txt", early=""),
    _Option("test_list", str, "data/veri_test.txt", early=""),
    _Option("train_path", str, "data/voxceleb2/dev/wav", early="data/voxceleb2"),
    _Option("test_path", str, "data/voxceleb1/test/wav", early="data/voxceleb1"),
    _Option("musan_path", str, "data/musan_split"),
    _Option("rir_path", str, "data/RIRS_NOISES/simulated_rirs"),
    _Option("n_mels", int, 40),
    _Option("log_input", bool, False),
    _Option("model", str, ""),
    _Option("encoder_type", str, "SAP"),
    _Option("nOut", int, 512),
    _Option("sinc_stride", int, 10, since="2021"),
    _Option("eval", bool, False),
    _Option("port", str, "8888", since="2021"),
    _Option("distributed", bool, False, since="2021"),
    _Option("mixedprec", bool, False, since="2021"),
    _Option("gpu_id", int, 0, since="2026"),
)
_PLAIN_FLAGS = ("eval", "distributed", "mixedprec")
NAMES = tuple(option.name for option in _OPTIONS)


@dataclass(frozen=True)
class Options:
    """What its training would have been given."""

    edition: Edition
    values: dict[str, Any]
    given: frozenset[str]
    """Those that somebody wrote down."""
    remarks: list[Remark] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def parse(
    command: Sequence[str], config: Path | None = None, edition: Edition | None = None
) -> Options:
    """Its options for a command line, a YAML file, or both.

    Args:
        command: words of the command line; what stands before its options may be left out.
        config: the YAML file; by default what `--config` of the command names.
        edition: of the trainer; None: read off how the options are written.

    Raises:
        UsageError: for what cannot be read at all. What its trainer would refuse is a remark.
    """
    words = _options_of(command)
    remarks: list[Remark] = []
    found = edition or _edition(words, remarks)
    typed, leftover = _parsed(words, found, remarks)
    config = config or (Path(typed["config"]) if typed.get("config") else None)
    written = {} if config is None else _from_yaml(config, remarks)
    if edition is None and not words:
        found = _edition_of_yaml(written)
    known = {o.name: o for o in _OPTIONS if EDITIONS.index(o.since) <= EDITIONS.index(found)}
    strange = [name for name in typed if name not in known]
    for name in [*_strange(leftover), *strange]:
        remarks.append(_unknown(name, known, "the command line", "stops at it"))
        typed.pop(name, None)
    values = {
        name: o.early if found == "2020" and o.early is not None else o.default
        for name, o in known.items()
    }
    values |= typed
    overlaid = _overlaid(written, known, typed, remarks)
    return Options(found, values | overlaid, frozenset(typed) | frozenset(overlaid), remarks)


# --- the command line --------------------------------------------------------------------------


def _options_of(command: Sequence[str]) -> list[str]:
    """Without the interpreter and the script, a notebook's `!`, and line ends."""
    words = list(command)
    if len(words) == 1 and any(c.isspace() for c in words[0]):
        try:
            words = shlex.split(words[0].replace("\\\n", " "))
        except ValueError as error:
            raise UsageError(f"the command line cannot be split into words: {error}") from error
    words = [word for word in words if word.strip() not in ("", "\\", "!")]
    script = [place for place, word in enumerate(words) if word.endswith(".py")]
    return words[script[0] + 1 :] if script else words


def _edition(words: Sequence[str], remarks: list[Remark]) -> Edition:
    """By what only some editions have."""
    names = [word.lstrip("-").partition("=")[0] for word in words if word.startswith("--")]
    valued = [
        following
        for word, following in pairwise([*words, "--"])
        if word.lstrip("-") in _SWITCHES and word.startswith("--")
    ]
    later = {option.name for option in _OPTIONS if option.since != "2020"}
    if any(not following.startswith("--") for following in valued):
        return "2021" if later & set(names) else "2020"
    if valued or "gpu_id" in names or "RawNet3" in words:
        return "2026"
    if "ResNetSE34Half" in words or "ResNetSE34" in words:
        return "2020"
    if later & set(names):
        return "2026"
    changed = [o for o in _OPTIONS if isinstance(o.early, int | float) and o.name not in names]
    if words and changed:
        were = ", ".join(f"{option.name} {option.early:g}" for option in changed)
        remarks.append(
            Remark(
                "assumed",
                "",
                "nothing tells for which edition of the trainer this was written: that of 2026 is "
                f"taken (before 2020-11-23, --trainer 2020, what is left out was {were})",
            )
        )
    return "2026"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"its command line: {message}")


def _parsed(
    words: Sequence[str], edition: Edition, remarks: list[Remark]
) -> tuple[dict[str, Any], list[str]]:
    """Values of the options that are there, and what its parser would not know."""
    parser = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    for option in _OPTIONS:
        if option.name in _PLAIN_FLAGS or (option.name in _SWITCHES and edition == "2026"):
            parser.add_argument(f"--{option.name}", action="store_true")
        elif option.kind is bool:
            parser.add_argument(f"--{option.name}", type=str)
        else:
            parser.add_argument(f"--{option.name}", type=option.kind)
    found, leftover = parser.parse_known_args(list(words))
    typed = vars(found)
    for name in _SWITCHES:
        if isinstance(typed.get(name), str):
            typed[name] = _truth(name, typed[name], remarks)
    stray = [word for word in leftover if not word.startswith("--")]
    if stray and edition == "2026" and any(name in typed for name in _SWITCHES):
        remarks.append(
            Remark(
                "fails",
                "log_input",
                f"since 2026 --log_input and --augment take no value: it stops at {stray[0]!r}",
            )
        )
        leftover = [word for word in leftover if word not in stray]
    return typed, leftover


def _strange(leftover: Sequence[str]) -> list[str]:
    """What an argument parser would stop at, the values of strange options left out."""
    before = ["", *leftover]
    return [
        word.lstrip("-").partition("=")[0]
        for word, previous in zip(leftover, before, strict=False)
        if word.startswith("--") or not previous.startswith("--")
    ]


def _truth(name: str, text: str, remarks: list[Remark]) -> bool:
    """What `type=bool` makes of it: everything but the empty word is true."""
    meant = _TRUTHS.get(text.lower())
    if meant is False:
        remarks.append(
            Remark(
                "misleads",
                name,
                f"--{name} {text} means True there: its parser takes any word for true. "
                "It is taken as it would have been; leave the option out to switch it off",
            )
        )
    elif meant is None:
        remarks.append(Remark("misleads", name, f"--{name} {text} means True there"))
    return bool(text)


# --- the YAML file -----------------------------------------------------------------------------


def _from_yaml(path: Path, remarks: list[Remark]) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file; its --config names a YAML file")
    if path.stat().st_size > _LARGEST_YAML:
        raise UsageError(f"{path}: larger than any config ({_LARGEST_YAML} bytes at most)")
    try:
        text = path.read_text(encoding="utf-8")
        _require_each_once(path, yaml.compose(text, Loader=yaml.SafeLoader))
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a YAML file that can be used: {error}") from error
    plain = (str, int, float, bool, type(None))
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, plain) for key, value in content.items()
    ):
        raise UsageError(f"{path}: a config of the trainer is a list of `option: value` lines")
    if "config" in content:
        remarks.append(Remark("misleads", "config", f"{path.name}: a config cannot name another"))
    return {name: value for name, value in content.items() if name != "config"}


def _require_each_once(path: Path, node: Any) -> None:
    """YAML lets the last of two equal keys win; nobody means that."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    keys = [key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise UsageError(f"{path}: {', '.join(twice)} is there twice; keep one")


def _edition_of_yaml(written: Mapping[str, Any]) -> Edition:
    return "2020" if written.get("model") in ("ResNetSE34Half", "ResNetSE34") else "2026"


def _overlaid(
    written: Mapping[str, Any],
    known: Mapping[str, _Option],
    typed: Mapping[str, Any],
    remarks: list[Remark],
) -> dict[str, Any]:
    """What the file sets, converted as the trainer converts it."""
    found: dict[str, Any] = {}
    for name, value in written.items():
        if name not in known:
            remarks.append(_unknown(name, known, "the YAML file", "is ignored, with a warning"))
            continue
        found[name] = _converted(known[name], value, remarks)
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


def _converted(option: _Option, value: Any, remarks: list[Remark]) -> Any:
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


def _unknown(name: str, known: Mapping[str, _Option], where: str, fate: str) -> Remark:
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"{lower[near[0]]} is meant, probably" if near else "there is nothing like it"
    kind: Literal["fails", "misleads"] = "fails" if "stops" in fate else "misleads"
    return Remark(kind, name, f"{name} in {where} is no option and {fate}; {hint}")
