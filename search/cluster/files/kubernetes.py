"""Check Kubernetes manifests: KubeRay's kinds and the core kinds that go with them."""

from collections.abc import Iterator, Mapping
from typing import Any

from search.cluster.files import schema_check, security
from search.cluster.files.findings import Finding, Place
from search.cluster.files.yaml_source import Document

_CLUSTER_SPEC: Mapping[str, Place] = {
    "RayCluster": ("spec",),
    "RayJob": ("spec", "rayClusterSpec"),
    "RayService": ("spec", "rayClusterConfig"),
}
_GROUPS = ("v1", "apps/v1", "networking.k8s.io/v1")
_OUTSIDE = ("NodePort", "LoadBalancer")
_ANYBODY = ("0.0.0.0/0", "::/0")


def list_known_kinds() -> tuple[str, ...]:
    """Return the kinds that can be checked."""
    core = (kind for kind in schema_check.list_kinds("kubernetes") if kind != "ObjectMeta")
    return (*schema_check.list_kinds("kuberay"), *core)


def is_known(document: Document) -> bool:
    """Return whether a manifest's kind can be checked, or is misspelt."""
    return _kind(document) in list_known_kinds() or bool(_suggest_kind(document))


def check(document: Document) -> list[Finding]:
    """Return everything that is wrong with a manifest of a known kind."""
    kind = _kind(document)
    if kind not in list_known_kinds():
        return [document.finding(("kind",), f"there is no kind {kind}{_suggest_kind(document)}")]
    findings = list(_check_schema(document, kind))
    if kind in _CLUSTER_SPEC:
        findings += _check_cluster(document, kind)
    if kind == "Secret":
        findings += _check_secret(document)
    if kind == "Service":
        findings += _check_service(document)
    if kind == "NetworkPolicy":
        findings += _check_policy(document)
    findings += _check_pods(document)
    findings += _check_variables(document)
    findings += security.check_texts(document)
    return sorted(set(findings))


def _kind(document: Document) -> str:
    return str(document.value.get("kind", ""))


def _suggest_kind(document: Document) -> str:
    """Return a suggestion for a misspelt kind, to be added to a message; empty without one."""
    group = str(document.value.get("apiVersion", ""))
    if group.startswith("ray.io/"):
        known = schema_check.list_kinds("kuberay")
        return (
            schema_check.suggest_nearest(_kind(document), known)
            or f"; known are {', '.join(known)}"
        )
    if group in _GROUPS:
        return schema_check.suggest_nearest(_kind(document), list_known_kinds(), at_least=0.85)
    return ""


def _check_schema(document: Document, kind: str) -> Iterator[Finding]:
    if kind not in schema_check.list_kinds("kuberay"):
        yield from schema_check.check_schema(document, schema_check.load_schema("kubernetes", kind))
        return
    yield from schema_check.check_schema(document, schema_check.load_schema("kuberay", kind))
    for field, wanted in (("apiVersion", "ray.io/v1"), ("metadata", None), ("spec", None)):
        if field not in document.value:
            yield document.finding((), f"lacks {field}")
        elif wanted and document.value[field] != wanted:
            yield document.finding((field,), f"must be {wanted}, got {document.value[field]}")
    if isinstance(document.value.get("metadata"), dict):
        metadata = schema_check.load_schema("kubernetes", "ObjectMeta")
        yield from schema_check.check_schema(document, metadata, below=("metadata",))


def _check_cluster(document: Document, kind: str) -> Iterator[Finding]:
    place = _CLUSTER_SPEC[kind]
    spec: Any = document.value
    for step in place:
        spec = spec.get(step) if isinstance(spec, dict) else None
    if not isinstance(spec, dict):
        return  # a job on a cluster that runs already
    yield from _check_token(document, place, spec)
    ours, named = security.find_ray_version(), spec.get("rayVersion")
    if ours and named != ours:
        yield document.finding(
            (*place, "rayVersion"), f"must be {ours}, as installed here, got {named}"
        )
    head = spec.get("headGroupSpec")
    if isinstance(head, dict):
        here = (*place, "headGroupSpec")
        if head.get("serviceType") in _OUTSIDE:
            yield document.finding(
                (*here, "serviceType"),
                f"{head['serviceType']} shows Ray to the outside; use ClusterIP and a tunnel",
            )
        if head.get("enableIngress"):
            yield document.finding(
                (*here, "enableIngress"), "shows the dashboard to the outside; use a tunnel"
            )
    groups = spec.get("workerGroupSpecs")
    for index, group in enumerate(groups if isinstance(groups, list) else ()):
        yield from _check_group(document, (*place, "workerGroupSpecs", index), group)


def _check_token(document: Document, place: Place, spec: dict[str, Any]) -> Iterator[Finding]:
    options = spec.get("authOptions")
    if not isinstance(options, dict) or options.get("mode") != "token":
        yield document.finding(
            (*place, "authOptions"),
            "without token authentication whoever reaches a pod runs code; set authOptions: "
            "{mode: token, secretName: NAME}",
        )


def _check_group(document: Document, place: Place, group: Any) -> Iterator[Finding]:
    if not isinstance(group, dict):
        return
    least, most = group.get("minReplicas"), group.get("maxReplicas")
    if isinstance(least, int) and isinstance(most, int) and least > most:
        yield document.finding(
            (*place, "minReplicas"), f"must not exceed maxReplicas, got {least} and {most}"
        )


def _check_secret(document: Document) -> Iterator[Finding]:
    for field in ("data", "stringData"):
        if document.value.get(field):
            yield document.finding(
                (field,),
                "a secret stands in a file; make it from one that only its owner can read: "
                "kubectl create secret generic NAME --from-file=KEY=FILE",
            )


def _check_service(document: Document) -> Iterator[Finding]:
    spec = document.value.get("spec")
    if isinstance(spec, dict) and spec.get("type") in _OUTSIDE:
        yield document.finding(
            ("spec", "type"), f"{spec['type']} shows it to the outside; use ClusterIP and a tunnel"
        )


def _check_policy(document: Document) -> Iterator[Finding]:
    """Yield rules that let in everybody: those without `from`, or from everywhere."""
    spec = document.value.get("spec")
    rules = spec.get("ingress") if isinstance(spec, dict) else None
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        place: Place = ("spec", "ingress", index)
        if not isinstance(rule, dict):
            continue
        peers = rule.get("from")
        if not peers or any(_is_anybody(peer) for peer in peers):
            yield document.finding(place, "lets everybody in; name pods or addresses in `from`")


def _is_anybody(peer: Any) -> bool:
    if not isinstance(peer, dict):
        return False
    block = peer.get("ipBlock")
    return peer == {"namespaceSelector": {}} or (
        isinstance(block, dict) and block.get("cidr") in _ANYBODY
    )


def _check_pods(document: Document) -> Iterator[Finding]:
    """Yield what puts a pod onto the network of its machine, or gives it the machine."""
    for place, value in document.mappings():
        if value.get("hostNetwork") is True:
            yield document.finding(
                (*place, "hostNetwork"), "no NetworkPolicy holds on the machine's own network"
            )
        if value.get("hostPort"):
            yield document.finding(
                (*place, "hostPort"), "opens the port on the machine itself; use a tunnel"
            )
        if value.get("privileged") is True:
            yield document.finding(
                (*place, "privileged"), "who runs code in the pod has the machine; leave it out"
            )


def _check_variables(document: Document) -> Iterator[Finding]:
    """Yield secrets in clear text in any `env` list, or as the value of a password."""
    for place, value in document.mappings():
        if {"name", "value"} <= value.keys() and len(place) > 1 and place[-2] == "env":
            variable = {str(value["name"]): value["value"]}
            yield from security.check_environment(document, place, variable)
        if value.get("value") and place and str(place[-1]).endswith("Password"):
            yield document.finding((*place, "value"), "a password in clear; use valueFrom")
