"""The code blocks of the pages, and the commands in them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    path.relative_to(ROOT)
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        ROOT / "cluster" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
    )
)


def blocks(page, language):
    """Return the texts of a page's fenced blocks of a language; '' are those without one."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [block for named, block in found if named == language]


def commands(page):
    """Return the command lines of a page: of its shell blocks and of those by indentation."""
    text = (ROOT / page).read_text(encoding="utf-8")
    indented = re.findall(r"(?:^ {4}\S.*\n)+", text, re.MULTILINE)
    lines = []
    for block in (*blocks(page, "sh"), *blocks(page, ""), *indented):
        for line in block.replace("\\\n", " ").splitlines():
            lines += [words for part in line.split(" && ") if (words := split(part))]
    return lines


def split(line):
    """Split a line as a shell does; a line that is no command (prose, a diagram) is empty."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    return [word for word in words if word not in {"...", ";"}]
