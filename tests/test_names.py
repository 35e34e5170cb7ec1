"""No identifier of `retired_names.txt`, which STYLE.md's vocabulary replaced, is defined again."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("search", "spkmodel", "spaces", "bench", "tests")


def retired() -> dict[str, tuple[str, bool]]:
    """By name: what to use instead, and whether parameters and modules count too."""
    lines = (ROOT / "tests" / "retired_names.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    assert {where for _, _, where in rows} == {"all", "callable"}
    assert len({name for name, _, _ in rows}) == len(rows), "a name stands there twice"
    return {name: (instead, where == "all") for name, instead, where in rows}


def definitions(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Line and name of every function, class and parameter; whether it is a parameter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name, False
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg, True


def violations(source: str) -> list[str]:
    """Every definition of a retired name in a module, as `line: name: use ...`."""
    names = retired()
    return [
        f"{line}: {name}: use {names[name][0]}"
        for line, name, is_parameter in definitions(ast.parse(source))
        if name in names and (names[name][1] or not is_parameter)
    ]


def test_no_retired_name_is_defined():
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            place = path.relative_to(ROOT)
            found += [f"{place}:{each}" for each in violations(path.read_text(encoding="utf-8"))]
            if retired().get(path.stem, ("", False))[1]:
                found.append(f"{place}: the module's name is retired")
    assert found == [], "\n".join(found)


def test_a_retired_name_is_found_wherever_it_is_defined():
    source = "class Keeper:\n    def heed(self, told, *, wish=None): ...\n"
    assert [each.split(": use")[0] for each in violations(source)] == [
        "1: Keeper",
        "2: heed",
        "2: told",
        "2: wish",
    ]


def test_a_word_that_english_needs_may_be_a_parameter_and_a_local_name():
    assert violations("def show(words, known):\n    report = table = words\n") == []
