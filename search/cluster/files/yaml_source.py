"""Read YAML as data: safe types only, no key twice, no bomb of aliases; with line numbers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from search.cluster.files.findings import Finding, Place, format_place
from spkmodel.core import foreign_file

MOST_CHARACTERS = 1 << 20
MOST_NODES = 50_000
"""The size limit with every alias written out; the largest file of `cluster/` has hundreds."""
MOST_DEPTH = 60

_MERGE = "tag:yaml.org,2002:merge"


@dataclass
class Document:
    """One document of a file."""

    value: Any
    lines: dict[Place, int] = field(default_factory=dict)
    """The line of every key and list item, from 1."""

    def line(self, place: Place) -> int:
        """Return the line of a place, or of the nearest place around it that exists."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def finding(self, place: Place, message: str) -> Finding:
        """Return a finding at a place."""
        return Finding(self.line(place), format_place(place), message)

    def mappings(self) -> Iterator[tuple[Place, dict[Any, Any]]]:
        """Yield every mapping of the document."""
        yield from _iterate_parts(self.value, (), dict)

    def strings(self) -> Iterator[tuple[Place, str]]:
        """Yield every text of the document."""
        yield from _iterate_parts(self.value, (), str)


class Unreadable(ValueError):
    """The file is not YAML that is accepted here; the finding says what and where."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.finding = Finding(line, "", message)


def read_documents(text: str) -> tuple[list[Document], list[Finding]]:
    """Return the documents that are not empty, and what is wrong with the YAML itself.

    Raises:
        Unreadable: if it cannot be parsed, or must not be.
    """
    # Limits first: the parser itself takes time and memory for a hostile file.
    if len(text) > MOST_CHARACTERS:
        raise Unreadable(0, f"{len(text)} characters; at most {MOST_CHARACTERS} are read")
    loader = yaml.SafeLoader(text)
    documents, findings = [], []
    try:
        _check_depth(text)
        while loader.check_node():
            node = loader.get_node()
            _check_size(node)
            found, lines = _index_places(node)
            findings += found
            value = loader.construct_document(node)
            if value is not None:
                documents.append(Document(value, lines))
    except Unreadable:
        raise
    except yaml.YAMLError as error:
        raise _unreadable_error(error) from error
    except (ValueError, TypeError, OverflowError) as error:  # of a number or date that is none
        raise Unreadable(0, f"not valid YAML: {foreign_file.shorten(str(error))}") from error
    finally:
        loader.dispose()
    return documents, findings


def _unreadable_error(error: yaml.YAMLError) -> Unreadable:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if "could not determine a constructor" in problem:
        problem += "; only plain data is accepted, no tags that make objects"
    return Unreadable(mark.line + 1 if mark else 0, f"not valid YAML: {problem}")


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            line = event.start_mark.line + 1
            raise Unreadable(line, f"nested deeper than {MOST_DEPTH} levels")


def _check_size(root: yaml.Node) -> None:
    """Refuse a document that is small on disk and large, or endless, in memory."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        key = id(node)
        # An alias that contains itself has no end.
        if key in open_nodes:
            raise Unreadable(node.start_mark.line + 1, "an alias of something that holds it")
        if key not in sizes:
            open_nodes.add(key)
            sizes[key] = 1 + sum(size(child) for child in _iterate_children(node))
            open_nodes.discard(key)
        return sizes[key]

    if size(root) > MOST_NODES:
        raise Unreadable(
            root.start_mark.line + 1,
            f"its aliases written out, the document has over {MOST_NODES} parts",
        )


def _iterate_children(node: yaml.Node) -> Iterator[yaml.Node]:
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                yield key
                yield value
        case yaml.SequenceNode():
            yield from node.value


def _index_places(root: yaml.Node) -> tuple[list[Finding], dict[Place, int]]:
    """Return the keys that stand twice, and the line of every place."""
    findings: set[Finding] = set()
    lines: dict[Place, int] = {}

    def walk(node: yaml.Node, place: Place) -> None:
        if isinstance(node, yaml.MappingNode):
            findings.update(_find_duplicate_keys(node, place))
        for step, mark, child in _iterate_steps(node):
            here = place if step is None else (*place, step)
            if step is not None:
                lines[here] = mark.line + 1
            walk(child, here)

    walk(root, ())
    return sorted(findings), lines


def _iterate_steps(node: yaml.Node) -> Iterator[tuple[str | int | None, yaml.Mark, yaml.Node]]:
    """Yield the parts of a node, each with its key; first, with None, what is merged in."""
    match node:
        case yaml.SequenceNode():
            for index, item in enumerate(node.value):
                yield index, item.start_mark, item
        case yaml.MappingNode():
            for key, value in node.value:
                if key.tag == _MERGE:
                    merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                    yield from ((None, key.start_mark, each) for each in merged)
            for key, value in node.value:
                if key.tag != _MERGE:
                    yield str(key.value), key.start_mark, value


def _find_duplicate_keys(node: yaml.MappingNode, place: Place) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        name = str(key.value)
        if name in seen and key.tag != _MERGE:
            yield Finding(
                line,
                format_place((*place, name)),
                f"stands here a second time (first in line {seen[name]}); only one would count",
            )
        seen[name] = line


def _iterate_parts(value: Any, place: Place, kind: type) -> Iterator[tuple[Place, Any]]:
    """Yield every part of a value that is of one type."""
    if isinstance(value, kind):
        yield place, value
    match value:
        case dict():
            for key, item in value.items():
                yield from _iterate_parts(item, (*place, str(key)), kind)
        case list():
            for index, item in enumerate(value):
                yield from _iterate_parts(item, (*place, index), kind)
