"""Try as another user of the machine to read, change or run what a search's owner has there.

Started as root with `USER_ID FACTS`, where FACTS is a JSON object with what another user can learn
or guess: ports, paths and ids. Only the standard library is used. It prints a JSON object: by
attempt, empty where it failed, else what it got.
"""

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

WEIGHTS = b"weights of another"


def main() -> None:
    """Give up root, make every attempt, print what came of each."""
    user, facts = int(sys.argv[1]), json.loads(sys.argv[2])
    "localhost".encode("idna")  # its module may lie where only root can read
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    json.dump({name: _make(attempt, facts) for name, attempt in ATTEMPTS.items()}, sys.stdout)


def _make(attempt, facts):
    try:
        return attempt(facts)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{attempt.__name__}: {error}\n")
        return ""


def _ask(facts, method, path, body=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{facts['mlflow_port']}{path}", data=body, method=method
    )
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if facts.get("authorization"):  # what another user does not have
        request.add_header("Authorization", facts["authorization"])
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return f"{answer.status} {answer.read()[:100]!r}"


def _overwrite_artifact(facts):
    path = f"/api/2.0/mlflow-artifacts/artifacts/{facts['artifact']}"
    return _ask(facts, "PUT", path, WEIGHTS)


def _read_artifact(facts):
    return _ask(facts, "GET", f"/api/2.0/mlflow-artifacts/artifacts/{facts['artifact']}")


def _set_stop_tag(facts):
    body = {"run_id": facts["run_id"], "key": "stop", "value": "yes"}
    return _ask(facts, "POST", "/api/2.0/mlflow/runs/set-tag", json.dumps(body).encode())


def _register_model(facts):
    body = json.dumps({"name": "stranger"}).encode()
    return _ask(facts, "POST", "/api/2.0/mlflow/registered-models/create", body)


def _read(name):
    def read(facts):
        return f"{len(Path(facts['home'], name).read_bytes())} bytes of {name}"

    return read


def _run_ray_job(facts):
    """Reach the port where a cluster would take jobs, or its GCS, without the token."""
    found = []
    for port in facts["ray_ports"]:
        with socket.socket() as talk:
            talk.settimeout(2)
            if talk.connect_ex(("127.0.0.1", port)):
                continue
            body = b'{"entrypoint": "id"}'
            head = f"POST /api/jobs/ HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            talk.sendall(head.encode() + body)
            answer = talk.recv(200)
            if answer.startswith(b"HTTP/1.1 2"):
                found.append(f"port {port}: {answer!r}")
    return "; ".join(found)


def _open_dashboard(_facts):
    with socket.socket() as talk:
        talk.settimeout(2)
        if talk.connect_ex(("127.0.0.1", 8265)):
            return ""
        talk.sendall(b"GET /api/version HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = talk.recv(200)
        return repr(answer) if answer.startswith(b"HTTP/1.1 2") else ""


def _write_mailbox(facts):
    place = Path(facts["home"], facts["search"], "control")
    place.mkdir(exist_ok=True)
    (place / ".planted.tmp").write_text("{}")
    return f"wrote into {place}"


def _enter_session_folder(facts):
    place = Path(facts["session_folder"])
    names = sorted(each.name for each in place.iterdir())
    (place / "logs" / "planted").write_text("x")
    return f"{names}"


def _plant_temporary_file(facts):
    place = Path(facts["temporary"])
    (place / "planted").write_text("x")
    return f"wrote into {place}"


ATTEMPTS = {
    "overwrite an artifact": _overwrite_artifact,
    "read an artifact": _read_artifact,
    "set the tag stop": _set_stop_tag,
    "register a model": _register_model,
    "read the ledger": lambda facts: _read(f"{facts['search']}/ledger.jsonl")(facts),
    "read a checkpoint": lambda facts: _read(facts["checkpoint"])(facts),
    "read the tokens": lambda facts: _read("ray-token")(facts) + _read("mlflow-credential")(facts),
    "read the database": _read("mlflow.db"),
    "run a Ray job": _run_ray_job,
    "open the dashboard": _open_dashboard,
    "write into the mailbox and the session folder": lambda facts: (
        _make(_write_mailbox, facts) + _make(_enter_session_folder, facts)
    ),
    "plant a temporary file": _plant_temporary_file,
}


if __name__ == "__main__":
    main()
