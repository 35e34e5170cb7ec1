"""Check shell scripts with shellcheck, and Slurm scripts for options of sbatch and Ray's traps."""

import re
from collections.abc import Callable, Iterator
from importlib.resources import files

from search.cluster.files import schema_check, security, tools
from search.cluster.files.findings import Finding

# The long options of sbatch (Slurm 22.05 to 26.05, its manual pages).
_SBATCH = frozenset(
    (files("search.cluster.files") / "schemas" / "sbatch_options.txt").read_text("utf-8").split()
)
_DIRECTIVE = re.compile(r"#SBATCH\s+(?P<option>\S+)")


def is_batch(text: str) -> bool:
    """Return whether a text is a script for sbatch."""
    return re.search(r"^#SBATCH\b", text, re.M) is not None


def check(text: str) -> tuple[list[Finding], list[str]]:
    """Return everything that is wrong with a script, and what could not be checked."""
    findings = list(_check_security(text))
    if is_batch(text):
        findings += _check_directives(text)
        findings += _check_traps(text)
    try:
        return sorted({*findings, *tools.run_shellcheck(text)}), []
    except tools.ToolMissing as reason:
        return sorted(set(findings)), [str(reason)]


def _check_security(text: str) -> Iterator[Finding]:
    for line, message in security.check_commands(text):
        yield Finding(line + 1, "", message)
    code = _strip_comments(text)
    if security.starts_ray(code) and not security.sets_token(code):
        yield Finding(_find_line(text, security.starts_ray), "", security.NO_TOKEN)
    for number, content in enumerate(text.splitlines(), 1):
        for message in security.check_versions_in(content, security.find_ray_version()):
            yield Finding(number, "", message)


def _check_directives(text: str) -> Iterator[Finding]:
    commands_began = False
    for number, line in enumerate(text.splitlines(), 1):
        match = _DIRECTIVE.match(line)
        if not match:
            commands_began = commands_began or bool(line.strip() and not line.startswith("#"))
            continue
        option = match["option"]
        # sbatch stops reading directives at the first command, without a word.
        if commands_began:
            yield Finding(number, option, "stands below the first command, where sbatch ignores it")
        name = option.removeprefix("--").partition("=")[0]
        if option.startswith("--") and not _is_option(name):
            yield Finding(
                number,
                option,
                f"sbatch has no --{name}{schema_check.suggest_nearest(name, _SBATCH)}",
            )


def _is_option(name: str) -> bool:
    """Return whether a name is an option of sbatch, or the beginning of exactly one."""
    return name in _SBATCH or sum(each.startswith(name) for each in _SBATCH) == 1


def _check_traps(text: str) -> Iterator[Finding]:
    code = _strip_comments(text)
    if "symmetric-run" not in code:
        return
    line = _find_line(text, lambda each: "symmetric-run" in each)
    before_entry = code.partition("symmetric-run")[2].partition(" -- ")[0]
    if "--include-dashboard" in before_entry:
        yield Finding(
            line, "", "--include-dashboard reaches the workers too, which then refuse to start"
        )
    if not re.search(r"^#SBATCH\s+--exclusive\b", text, re.M):
        yield Finding(
            line,
            "",
            "ends with `ray stop`, which ends every Ray of this user on the node; add "
            "#SBATCH --exclusive",
        )
    if not re.search(r"\bPATH=|bin/activate\b|\bconda activate\b|\bmodule load\b", code):
        yield Finding(
            line,
            "",
            "calls `ray` by name on every node; put the environment's bin folder on the PATH first",
        )


def _strip_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _find_line(text: str, wanted: Callable[[str], bool]) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("#") and wanted(line):
            return number
    return 1
