"""Measure how the code is built, and fail when a figure is above its limit.

`python -m bench.structure` prints one table and, below it, every place that breaks a limit. The
exit code is 1 when there is one; `make check` runs it.

What is counted:

- A *module* is a file beside `__init__.py` and `__main__.py` in a folder of the two packages, of
  `bench/` or of `tests/support/`.
- *Import circles* are groups of modules that import each other, directly or by way of others.
- *Back edges* are imports between two packages that climb up the layers of `pyproject.toml`.
- A *string-keyed read* takes a field of a ledger event, of a search's settings or of what a
  training reports by a literal key (`event["trial"]`, `state.search.get("eta")`); how such an
  object is recognised stands in `bench.support.string_keyed_reads`. Two modules may do so, since
  they read the file: `search/ledger/events.py` and `search/ledger/formats.py`.

Lengths are lines from the first to the last, docstring included. A space file may have any length:
the hash of its source names the searches that it was used for, so it cannot be cut later.
"""

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.support.string_keyed_reads import find_reads

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("search", "spkmodel")
MEASURED = (*PACKAGES, "spaces", "bench", "tests/support")
READERS = ("search/ledger/events.py", "search/ledger/formats.py")

MOST_MODULES = 16
MOST_LINES = 300
MOST_FUNCTION_LINES = 60


@dataclass(frozen=True)
class Figure:
    """One row of the table: what was measured, and every place that breaks its limit."""

    measure: str
    value: float
    limit: float | None
    breaches: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether the value keeps its limit."""
        return self.limit is None or self.value <= self.limit


@dataclass(frozen=True)
class Module:
    """One source file, read and parsed once."""

    path: str
    source: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.source.count("\n")


def main() -> int:
    figures = measure(ROOT)
    print(format_table(figures))
    breaches = [breach for figure in figures for breach in figure.breaches]
    for breach in breaches:
        print(breach)
    return 0 if all(figure.passes for figure in figures) else 1


def measure(root: Path) -> list[Figure]:
    """Return every figure of the source tree below `root`."""
    modules = list(read_modules(root))
    return [
        fullest_folder(modules),
        import_circles(root),
        back_edges(root),
        string_keyed_reads(modules),
        longest_module(modules),
        longest_function(modules),
        comment_density(modules),
    ]


def format_table(figures: Iterable[Figure]) -> str:
    """Return the figures as aligned text."""
    rows = [("measure", "now", "at most", "")]
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:g}"
        rows.append((figure.measure, f"{figure.value:g}", limit, "" if figure.passes else "ABOVE"))
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        f"{measure:<{width}}  {now:>5}  {limit:>7}  {verdict}".rstrip()
        for measure, now, limit, verdict in rows
    )


def read_modules(root: Path) -> Iterator[Module]:
    """Read and parse every measured source file, in the order of their paths."""
    for package in MEASURED:
        for path in sorted((root / package).rglob("*.py")):
            source = path.read_text()
            yield Module(path.relative_to(root).as_posix(), source, ast.parse(source))


def fullest_folder(modules: Iterable[Module]) -> Figure:
    """Count the modules of each folder, `__init__.py` and `__main__.py` apart."""
    paths = [Path(module.path) for module in modules if not module.path.startswith("spaces/")]
    counts = Counter(str(path.parent) for path in paths if not path.stem.startswith("__"))
    full = tuple(
        f"{folder}: {count} modules in one folder"
        for folder, count in counts.most_common()
        if count > MOST_MODULES
    )
    return Figure("modules in one folder", max(counts.values()), MOST_MODULES, full)


def import_circles(root: Path) -> Figure:
    """Find groups of modules that import each other, by import-linter's graph of imports."""
    circles = [
        circle
        for package in PACKAGES
        for circle in strongly_connected(imports_of(root, package))
        if len(circle) > 1
    ]
    breaches = tuple(f"import circle: {' <-> '.join(sorted(circle))}" for circle in circles)
    return Figure("import circles", len(circles), 0, breaches)


def back_edges(root: Path) -> Figure:
    """Find imports from a lower layer to a higher one, by the layers of `pyproject.toml`."""
    found = []
    for package, order in layers_of(root).items():
        for importer, imported_modules in sorted(imports_of(root, package).items()):
            for imported in sorted(imported_modules):
                from_layer, to_layer = _child(importer), _child(imported)
                if {from_layer, to_layer} <= order.keys() and order[to_layer] > order[from_layer]:
                    found.append(f"back edge: {importer} imports {imported}")
    return Figure("back edges of the layers", len(found), 0, tuple(found))


def imports_of(root: Path, package: str) -> dict[str, set[str]]:
    """Return for every module of a package the modules of the same package that it imports."""
    import grimp  # a tool of development, as import-linter is

    sys.path.insert(0, str(root))
    graph = grimp.build_graph(package, cache_dir=None)
    sys.path.remove(str(root))
    return {
        module: graph.find_modules_directly_imported_by(module) & graph.modules
        for module in graph.modules
    }


def layers_of(root: Path) -> dict[str, dict[str, int]]:
    """Return for each package its direct children with their height, the lowest at 0."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    layers: dict[str, dict[str, int]] = {}
    for contract in settings["tool"]["importlinter"]["contracts"]:
        for package in contract.get("containers", ()):
            from_below = reversed(contract["layers"])
            layers[package] = {
                name: height
                for height, row in enumerate(from_below)
                for name in re.split(r"[\s|:()]+", row)
                if name
            }
    missing = [package for package in PACKAGES if package not in layers]
    if missing:
        raise SystemExit(f"pyproject.toml has no import-linter layers for {', '.join(missing)}")
    return layers


def strongly_connected(imports: dict[str, set[str]]) -> list[set[str]]:
    """Return the strongly connected components of a graph (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(imports.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            start = stack.index(node)
            components.append(set(stack[start:]))
            del stack[start:]

    for node in sorted(imports):
        if node not in index:
            visit(node)
    return components


def string_keyed_reads(modules: Iterable[Module]) -> Figure:
    """Count reads of ledger events by a literal key outside the modules that read the file."""
    found = [
        f"{module.path}:{line}: string-keyed read of a ledger event: {text}"
        for module in modules
        if module.path.startswith(PACKAGES) and module.path not in READERS
        for line, text in find_reads(module.tree)
    ]
    return Figure("string-keyed reads of events", len(found), 0, tuple(found))


def longest_module(modules: Iterable[Module]) -> Figure:
    """Return the length of the longest module, space files apart."""
    measured = [module for module in modules if not module.path.startswith("spaces/")]
    long = sorted(measured, key=lambda module: -module.lines)
    breaches = tuple(f"{each.path}: {each.lines} lines" for each in long if each.lines > MOST_LINES)
    return Figure("lines of the longest module", long[0].lines, MOST_LINES, breaches)


def longest_function(modules: Iterable[Module]) -> Figure:
    """Return the length of the longest function, those of space files apart."""
    lengths = sorted(
        (
            (node.end_lineno - node.lineno + 1, f"{module.path}:{node.lineno}: {node.name}")
            for module in modules
            if not module.path.startswith("spaces/")
            for node in ast.walk(module.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
        ),
        reverse=True,
    )
    breaches = tuple(
        f"{where} has {lines} lines" for lines, where in lengths if lines > MOST_FUNCTION_LINES
    )
    return Figure("lines of the longest function", lengths[0][0], MOST_FUNCTION_LINES, breaches)


def comment_density(modules: Iterable[Module]) -> Figure:
    """Return how many comments stand in 100 lines of the two packages; 4 to 8 are aimed at.

    A directive to a tool (`noqa`, `type: ignore`) is no comment; a line with a comment counts once.
    """
    measured = [module for module in modules if module.path.startswith(PACKAGES)]
    directive = re.compile(r"#\s*(noqa|type:\s*ignore|pragma|fmt:)")
    comments = sum(
        1
        for module in measured
        for token in tokenize.generate_tokens(io.StringIO(module.source).readline)
        if token.type == tokenize.COMMENT and not directive.match(token.string)
    )
    lines = sum(module.lines for module in measured)
    return Figure("comments in 100 lines", round(100 * comments / lines, 1), None)


def _child(module: str) -> str:
    return ".".join(module.split(".")[1:2])


if __name__ == "__main__":
    raise SystemExit(main())
