"""Cluster files of `ray up`: Ray's own schema and preparation, and what its defaults open."""

import contextlib
import copy
import json
import logging
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search.cluster.files import by_schema, clouds, security
from search.cluster.files.findings import Finding
from search.cluster.files.yaml_source import Document

_STARTS = ("head_start_ray_commands", "worker_start_ray_commands")


@cache
def schema() -> dict[str, Any]:
    """`ray-schema.json` of the installed Ray, found without importing it."""
    spec = find_spec("ray")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "autoscaler" / "ray-schema.json"
    return json.loads(path.read_bytes())


def check(document: Document) -> list[Finding]:
    """Everything that is wrong with a cluster file of `ray up`."""
    findings = by_schema.problems(document, schema())
    findings += _of_provider(document)
    findings += clouds.check(document)
    if findings:
        return findings
    prepared, refusal = _prepared(document.value)
    if refusal:
        return [Finding(1, "", f"ray up refuses it: {refusal}")]
    findings += _of_starts(document, prepared)
    findings += security.text_problems(document)
    return sorted(set(findings))


def _of_provider(document: Document) -> Iterator[Finding]:
    """Ray accepts any field there, since each provider has its own; a near miss is still one."""
    provider = document.value.get("provider")
    if not isinstance(provider, dict):
        return
    known = set(schema()["properties"]["provider"]["properties"])
    known |= {"cache_stopped_nodes", "security_group", "coordinator_address"}
    for name in set(map(str, provider)) - known:
        meant = by_schema.nearest(name, known, at_least=0.8)
        if meant:
            yield document.finding(("provider", name), f"there is no {name} here{meant}")


def _prepared(config: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What `ray up` would use, its defaults filled in, or why it would not."""
    from click import ClickException
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    try:
        with _silence():
            prepared = prepare_config(copy.deepcopy(config))
            validate_config(prepared)
    except ClickException as error:
        return {}, " ".join(error.format_message().split())
    except ValidationError as error:
        return {}, error.message
    except (ValueError, KeyError, TypeError, RuntimeError, NotImplementedError) as error:
        return {}, f"{type(error).__name__}: {error}"
    return prepared, ""


def _of_starts(document: Document, prepared: dict[str, Any]) -> Iterator[Finding]:
    docker = prepared.get("docker") or {}
    by_container = any(
        security.sets_token(str(option))
        for options in ("run_options", "head_run_options", "worker_run_options")
        for option in docker.get(options) or ()
    )
    for name in _STARTS:
        commands = [str(command) for command in prepared.get(name) or ()]
        starts = [command for command in commands if security.starts_ray(command)]
        own = name in document.value
        if not by_container and not all(security.sets_token(command) for command in starts):
            words = "" if own else "Ray's default for it "
            yield document.finding((name,), words + security.NO_TOKEN)
        if not own:
            for _, message in security.command_problems("\n".join(commands)):
                yield document.finding((name,), f"it is missing, and in Ray's default {message}")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Ray tells what it fills in, by logging and by printing; the answer here is ours alone."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
            yield
    finally:
        logging.disable(level)
