"""Find cluster files, find out the kind of each, and check it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from search.cluster.files import (
    compose,
    dockerfile,
    kubernetes,
    ray_up,
    shell,
    skypilot,
    yaml_source,
)
from search.cluster.files.findings import FileFindings, Finding
from search.cluster.files.yaml_source import Document
from search.core.errors import UsageError
from spkmodel.core import foreign_file

_YAML = (".yaml", ".yml")
_SKYPILOT_KEYS = {"run", "setup", "resources", "num_nodes"}


def check_files(paths: Sequence[Path]) -> list[FileFindings]:
    """Check every file named, and every file of every folder named.

    Raises:
        UsageError: if a path does not exist, or nothing there is of a known kind.
    """
    reports = [check_file(path) for path in _iterate_files(paths)]
    if all(report.skipped for report in reports):
        raise UsageError(
            f"nothing to check in {', '.join(map(str, paths))}: "
            + ("; ".join(f"{each.file}: {each.skipped}" for each in reports[:5]) or "no files")
        )
    return reports


def check_file(path: Path) -> FileFindings:
    """Check one file as the kind that its contents show."""
    try:
        # Not read at all: a corpus or a checkpoint may lie in the folder.
        if path.stat().st_size > yaml_source.MOST_CHARACTERS:
            return FileFindings(path, "", skipped=f"over {yaml_source.MOST_CHARACTERS} bytes")
        text = foreign_file.read_text(path, yaml_source.MOST_CHARACTERS)
    except foreign_file.ForeignFileError as error:
        return FileFindings(path, "", skipped=f"not read: {error.problem}")
    if path.suffix in _YAML:
        return _check_yaml(path, text)
    if dockerfile.is_dockerfile(text):
        findings, missing = dockerfile.check(text)
        return FileFindings(path, "Dockerfile", findings, unchecked=missing)
    if (text.startswith("#!") and "sh" in text.splitlines()[0]) or path.suffix == ".sh":
        kind = "Slurm batch script" if shell.is_batch(text) else "shell script"
        findings, missing = shell.check(text)
        return FileFindings(path, kind, findings, unchecked=missing)
    return FileFindings(path, "", skipped="not a kind that is known")


def _iterate_files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                yield from (
                    Path(folder, name)
                    for name in sorted(names)
                    if not name.startswith(".") and Path(folder, name).is_file()
                )
        elif path.is_file():
            yield path
        else:
            raise UsageError(f"no file or folder {path}")


def _check_yaml(path: Path, text: str) -> FileFindings:
    try:
        documents, findings = yaml_source.read_documents(text)
    except yaml_source.Unreadable as error:
        return FileFindings(path, "YAML", [error.finding])
    if not documents:
        return FileFindings(path, "", skipped="empty")
    kinds = [_find_kind(document) for document in documents]
    if not any(kinds):
        return FileFindings(path, "", skipped=_describe_unknown(documents[0]))
    missing: list[str] = []
    for number, (document, kind) in enumerate(zip(documents, kinds, strict=True), 1):
        if not kind:
            missing.append(f"document {number}: {_describe_unknown(document)}")
            continue
        found, unchecked = _check_document(document, kind)
        findings = [*findings, *found]
        missing += unchecked
    named = ", ".join(dict.fromkeys(kind for kind in kinds if kind))
    return FileFindings(path, named, sorted(set(findings)), unchecked=missing)


def _find_kind(document: Document) -> str:
    """Return the kind of a document by its top-level names; empty if it is not known."""
    # Names are compared roughly: a misspelt one must not keep the others from being checked.
    value = document.value
    if not isinstance(value, dict):
        return ""
    if "apiVersion" in value or "kind" in value:
        return str(value.get("kind", "manifest")) if kubernetes.is_known(document) else ""
    names = set(map(str, value))
    if isinstance(value.get("provider"), dict) or "available_node_types" in names:
        return "ray up"
    if get_close_matches("services", names, cutoff=0.8):
        return "compose"
    if get_close_matches("cluster_name", names, cutoff=0.8):
        return "ray up"
    if len(names & skypilot.list_keys()) > 1 and names & _SKYPILOT_KEYS:
        return "SkyPilot"
    return ""


def _check_document(document: Document, kind: str) -> tuple[list[Finding], list[str]]:
    match kind:
        case "ray up":
            return ray_up.check(document), []
        case "compose":
            return compose.check(document), []
        case "SkyPilot":
            return skypilot.check(document)
        case _:
            return kubernetes.check(document), []


def _describe_unknown(document: Document) -> str:
    value = document.value
    if isinstance(value, dict) and "kind" in value:
        return f"kind {value['kind']} of {value.get('apiVersion', 'no apiVersion')} is not known"
    return "not a kind that is known"
