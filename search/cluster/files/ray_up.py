"""Check cluster files of `ray up` by Ray's own schema, and for what its defaults open."""

import contextlib
import copy
import json
import logging
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search.cluster.files import clouds, schema_check, security
from search.cluster.files.findings import Finding
from search.cluster.files.yaml_source import Document

_STARTS = ("head_start_ray_commands", "worker_start_ray_commands")


@cache
def load_schema() -> dict[str, Any]:
    """Return `ray-schema.json` of the installed Ray, found without importing it."""
    spec = find_spec("ray")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "autoscaler" / "ray-schema.json"
    return json.loads(path.read_bytes())


def check(document: Document) -> list[Finding]:
    """Return everything that is wrong with a cluster file of `ray up`."""
    findings = schema_check.check_schema(document, load_schema())
    findings += _check_provider(document)
    findings += clouds.check(document)
    # Ray's own preparation raises unclear errors for a file that its schema rejects.
    if findings:
        return findings
    prepared, refusal = _prepare(document.value)
    if refusal:
        return [Finding(1, "", f"ray up refuses it: {refusal}")]
    findings += _check_start_commands(document, prepared)
    findings += security.check_texts(document)
    return sorted(set(findings))


def _check_provider(document: Document) -> Iterator[Finding]:
    """Yield near misses of a provider's fields, of which Ray accepts any."""
    provider = document.value.get("provider")
    if not isinstance(provider, dict):
        return
    known = set(load_schema()["properties"]["provider"]["properties"])
    known |= {"cache_stopped_nodes", "security_group", "coordinator_address"}
    for name in set(map(str, provider)) - known:
        meant = schema_check.suggest_nearest(name, known, at_least=0.8)
        if meant:
            yield document.finding(("provider", name), f"there is no {name} here{meant}")


def _prepare(config: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return what `ray up` would use, its defaults filled in, or why it would refuse."""
    from click import ClickException
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    try:
        with _silenced():
            # A copy: Ray fills its defaults into the mapping that it is given.
            prepared = prepare_config(copy.deepcopy(config))
            validate_config(prepared)
    except ClickException as error:
        return {}, " ".join(error.format_message().split())
    except ValidationError as error:
        return {}, error.message
    except (ValueError, KeyError, TypeError, RuntimeError, NotImplementedError) as error:
        return {}, f"{type(error).__name__}: {error}"
    return prepared, ""


def _check_start_commands(document: Document, prepared: dict[str, Any]) -> Iterator[Finding]:
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
            subject = "" if own else "Ray's default for it "
            yield document.finding((name,), subject + security.NO_TOKEN)
        if not own:
            for _, message in security.check_commands("\n".join(commands)):
                yield document.finding((name,), f"it is missing, and in Ray's default {message}")


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Silence what Ray logs and prints while it fills in its defaults."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
            yield
    finally:
        logging.disable(level)
