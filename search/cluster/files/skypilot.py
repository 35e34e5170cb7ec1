"""Check SkyPilot tasks: the fields that SkyPilot 0.14 knows, and the shell scripts in them.

To read SkyPilot's own schema, most of its dependencies have to be imported. So the names and types
of its task and resources are copied here (skypilot-org/skypilot, sky/utils/schemas.py).
"""

from collections.abc import Iterator
from typing import Any

from search.cluster.files import schema_check, security, tools
from search.cluster.files.findings import Finding
from search.cluster.files.yaml_source import Document

_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_SWITCH = {"type": "boolean"}
_MAPPING = {"type": "object"}
_SIZE = {"type": ["string", "integer", "number"]}
_ANY: dict[str, Any] = {}

_RESOURCES = {
    "cloud": _TEXT,
    "region": _TEXT,
    "zone": _TEXT,
    "infra": _TEXT,
    "cpus": _SIZE,
    "memory": _SIZE,
    "accelerators": {"type": ["string", "object", "array"]},
    "accelerator_args": _MAPPING,
    "instance_type": _TEXT,
    "use_spot": _SWITCH,
    "job_recovery": {
        "anyOf": [
            _TEXT,
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "strategy": {"type": ["string", "null"]},
                    "max_restarts_on_errors": {"type": "integer", "minimum": 0},
                    "recover_on_exit_codes": {"type": ["integer", "array"]},
                },
            },
        ]
    },
    "volumes": {"type": "array"},
    "disk_size": _SIZE,
    "disk_tier": _TEXT,
    "network_tier": _TEXT,
    "local_disk": _TEXT,
    "max_hourly_cost": {"type": "number", "exclusiveMinimum": 0},
    "ports": {"type": ["string", "integer", "array", "null"]},
    "labels": {"type": "object", "additionalProperties": _TEXT},
    "image_id": {"type": ["string", "object", "null"]},
    "autostop": {"type": ["boolean", "string", "integer", "object"]},
    "priority": _WHOLE,
    "priority_class": _TEXT,
}
_ONE_RESOURCE = {"type": "object", "additionalProperties": False, "properties": _RESOURCES}
_VARIABLES = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": _TEXT,
        "workdir": {"type": ["string", "object"]},
        "event_callback": _TEXT,
        "num_nodes": {"type": "integer", "minimum": 1},
        "resources": {
            **_ONE_RESOURCE,
            "properties": _RESOURCES
            | {
                "any_of": {"type": "array", "items": _ONE_RESOURCE},
                "ordered": {"type": "array", "items": _ONE_RESOURCE},
            },
        },
        "file_mounts": _MAPPING,
        "service": _MAPPING,
        "pool": _MAPPING,
        "setup": _TEXT,
        "run": _TEXT,
        "envs": _VARIABLES,
        "secrets": {"anyOf": [_VARIABLES, {"type": "array", "items": _TEXT}]},
        "managed_secrets": {"type": "array"},
        "inputs": _MAPPING,
        "outputs": _MAPPING,
        "config": _MAPPING,
        "volumes": _MAPPING,
        "volume_mounts": {"type": "array"},
        "api_server_access": _SWITCH,
    },
}


def list_keys() -> set[str]:
    """Return the top-level names of a task."""
    return set(SCHEMA["properties"])


def check(document: Document) -> tuple[list[Finding], list[str]]:
    """Return everything that is wrong with a task, and what could not be checked."""
    findings = schema_check.check_schema(document, SCHEMA)
    missing: list[str] = []
    task = document.value
    for name in ("setup", "run"):
        script = task.get(name)
        if isinstance(script, str):
            try:
                findings += _check_script(document, name, script)
            except tools.ToolMissing as reason:
                missing.append(f"{name}: {reason}")
    variables = task.get("envs")
    variables = variables if isinstance(variables, dict) else {}
    run = str(task.get("run", ""))
    by_environment = variables.get("RAY_AUTH_MODE") == "token"
    if security.starts_ray(run) and not (by_environment or security.sets_token(run)):
        findings.append(document.finding(("run",), security.NO_TOKEN))
    for place in ("envs", "secrets"):
        listed = task.get(place)
        if isinstance(listed, dict):
            findings += security.check_environment(document, (place,), listed)
    findings += security.check_texts(document)
    findings += _check_ports(document)
    return sorted(set(findings)), missing


def _check_ports(document: Document) -> Iterator[Finding]:
    """Yield the ports that SkyPilot opens in the cloud's firewall, in any of the alternatives."""
    for place, value in document.mappings():
        ports = value.get("ports")
        if place[:1] == ("resources",) and ports:
            named = ", ".join(map(str, ports if isinstance(ports, list) else [ports]))
            yield document.finding(
                (*place, "ports"), f"opens {named} to the world; leave it out, and use a tunnel"
            )


def _check_script(document: Document, name: str, script: str) -> list[Finding]:
    """Check a script with shellcheck; it begins in the line below its key."""
    return [
        Finding(found.line, f"{name}: {found.where}", found.message)
        for found in tools.run_shellcheck(script, document.line((name,)) + 1)
    ]
