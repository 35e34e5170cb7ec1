"""Parse a command line as voxceleb_trainer does.

Abbreviations are completed, and `bool("False")` is true.
"""

import argparse
import shlex
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from search.core.errors import UsageError
from search.importers.voxceleb_trainer.option_table import OPTIONS, PLAIN_FLAGS, SWITCHES, Edition
from search.importers.voxceleb_trainer.remarks import Remark

_TRUTHS = {"true": True, "false": False}


def strip_program(command: Sequence[str]) -> list[str]:
    """Return a command line without interpreter, script, a notebook's `!`, and line ends."""
    words = list(command)
    # A command that was pasted in quotes arrives as one word.
    if len(words) == 1 and any(c.isspace() for c in words[0]):
        try:
            words = shlex.split(words[0].replace("\\\n", " "))
        except ValueError as error:
            raise UsageError(f"the command line cannot be split into words: {error}") from error
    words = [word for word in words if word.strip() not in ("", "\\", "!")]
    script = [place for place, word in enumerate(words) if word.endswith(".py")]
    return words[script[0] + 1 :] if script else words


def infer_edition(words: Sequence[str], remarks: list[Remark]) -> Edition:
    """Infer the trainer's edition from what only some editions have."""
    names = [word.lstrip("-").partition("=")[0] for word in words if word.startswith("--")]
    valued = [
        following
        for word, following in pairwise([*words, "--"])
        if word.lstrip("-") in SWITCHES and word.startswith("--")
    ]
    later = {option.name for option in OPTIONS if option.since != "2020"}
    if any(not following.startswith("--") for following in valued):
        return "2021" if later & set(names) else "2020"
    if valued or "gpu_id" in names or "RawNet3" in words:
        return "2026"
    if "ResNetSE34Half" in words or "ResNetSE34" in words:
        return "2020"
    if later & set(names):
        return "2026"
    changed = [o for o in OPTIONS if isinstance(o.early, int | float) and o.name not in names]
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


def parse_words(
    words: Sequence[str], edition: Edition, remarks: list[Remark]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values of the options that are given, and what its parser would not know."""
    parser = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    for option in OPTIONS:
        if option.name in PLAIN_FLAGS or (option.name in SWITCHES and edition == "2026"):
            parser.add_argument(f"--{option.name}", action="store_true")
        elif option.kind is bool:
            parser.add_argument(f"--{option.name}", type=str)
        else:
            parser.add_argument(f"--{option.name}", type=option.kind)
    found, leftover = parser.parse_known_args(list(words))
    typed = vars(found)
    for name in SWITCHES:
        if isinstance(typed.get(name), str):
            typed[name] = _parse_switch(name, typed[name], remarks)
    # `--log_input True` was right until 2026; since then True is a stray word that ends it.
    stray = [word for word in leftover if not word.startswith("--")]
    if stray and edition == "2026" and any(name in typed for name in SWITCHES):
        remarks.append(
            Remark(
                "fails",
                "log_input",
                f"since 2026 --log_input and --augment take no value: it stops at {stray[0]!r}",
            )
        )
        leftover = [word for word in leftover if word not in stray]
    return typed, leftover


def list_unknown_options(leftover: Sequence[str]) -> list[str]:
    """Return the options that an argument parser would stop at, without their values."""
    before = ["", *leftover]
    return [
        word.lstrip("-").partition("=")[0]
        for word, previous in zip(leftover, before, strict=False)
        if word.startswith("--") or not previous.startswith("--")
    ]


def _parse_switch(name: str, text: str, remarks: list[Remark]) -> bool:
    """Return what `type=bool` makes of a word: everything but the empty word is true."""
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
    # Its own rule, wrong as it is: the config must describe what really was trained.
    return bool(text)
