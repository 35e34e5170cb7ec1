"""Let in whoever holds the home folder's credential to its MLflow server, and nobody else.

A port on 127.0.0.1 can be reached by every user of the machine. So the server answers with the
credential only, which stands in a file of mode 0600, and it proves that it knows it before a client
of ours sends it: while no server of ours runs, another user may listen on its port.
"""

import hashlib
import hmac
import html
import http.client
import secrets
import time
from pathlib import Path
from urllib.parse import urlsplit

from search.core.atomic_folder import require_private, write_private, write_secret_once
from search.core.errors import EnvironmentSetupError
from search.tracking.server_record import read_record

HOST = "127.0.0.1"
USER = "spksearch"
"""The user name beside the credential, which is the password."""
NONCE_HEADER = "X-Spksearch-Nonce"
PROOF_HEADER = "X-Spksearch-Proof"
SIGN_IN_PATH = "/spksearch/sign-in"
PASS_SECONDS = 7 * 24 * 3600
"""How long a start page, and a browser's cookie, let in."""

_START_PAGE = """<!doctype html>
<meta charset="utf-8"><title>MLflow of spksearch</title>
<p>Opening the MLflow page. This file lets in whoever can read it: do not pass it on.</p>
<form method="post" action="{action}">
<input type="hidden" name="code" value="{code}"><input type="hidden" name="to" value="{to}">
<button>Open</button></form>
<script>document.forms[0].submit()</script>
"""


def credential_path(folder: Path) -> Path:
    """Return the file with the credential of a home folder's server."""
    return folder / "mlflow-credential"


def provide_credential(folder: Path) -> str:
    """Return the credential of a home folder's server; make it if there is none.

    Raises:
        EnvironmentSetupError: if others can read its file.
        OSError: if it cannot be written.
    """
    path = credential_path(folder)
    if not path.exists():
        write_secret_once(path, secrets.token_hex(32))
    return read_credential(folder)


def read_credential(folder: Path) -> str:
    """Return the credential of a home folder's server; empty if there is none.

    Raises:
        EnvironmentSetupError: if others can read its file.
    """
    path = credential_path(folder)
    if not path.is_file():
        return ""
    require_private(path)
    return path.read_text(encoding="utf-8").strip()


def client_environment(uri: str, folder: Path) -> dict[str, str]:
    """Return the variables that hand MLflow's client the credential; empty for other servers.

    Args:
        uri: where the client sends its requests.
        folder: the home folder whose server that may be.
    """
    if not is_own(uri, folder):
        return {}
    # User and password, since MLflow's client prefers them to a token and to its own file, where
    # the user may have put those of another server.
    return {
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": read_credential(folder),
    }


def is_own(uri: str, folder: Path) -> bool:
    """Return whether an address is that of a home folder's server."""
    parts = urlsplit(uri)
    if parts.scheme != "http" or parts.hostname not in (HOST, "localhost") or parts.username:
        return False
    record = read_record(folder)
    return record is not None and parts.port == record.port and credential_path(folder).is_file()


def prove(credential: str, nonce: str, port: int) -> str:
    """Return what only a holder of the credential can answer to a nonce.

    The port is part of it, so that nobody on one port can pass on the answer of another.
    """
    return _sign(credential, f"server {port} {nonce}")


def make_pass(credential: str, purpose: str) -> str:
    """Return a text that lets in for some days and one purpose; the credential is not in it."""
    end = str(int(time.time()) + PASS_SECONDS)
    return f"{end}.{_sign(credential, f'{purpose} {end}')}"


def is_valid_pass(credential: str, purpose: str, text: str) -> bool:
    """Return whether `make_pass` made this text, and its time is not up."""
    end, _, signature = text.partition(".")
    known = end.isascii() and end.isdigit() and len(end) < 20 and int(end) >= time.time()
    return known and is_equal(signature, _sign(credential, f"{purpose} {end}"))


def is_equal(given: str, wanted: str) -> bool:
    """Compare two secrets in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def answers(port: int, credential: str, seconds: float = 2.0) -> bool:
    """Return whether the server with this credential answers on a port, asked without a proxy."""
    connection = http.client.HTTPConnection(HOST, port, timeout=seconds)
    try:
        return is_proven(connection, port, credential)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_proven(connection: http.client.HTTPConnection, port: int, credential: str) -> bool:
    """Return whether the server at the other end of a connection knows the credential.

    Raises:
        OSError: if it does not answer.
        HTTPException: if its answer is none.
    """
    nonce = secrets.token_hex(16)
    connection.request("GET", "/health", headers={NONCE_HEADER: nonce})
    answer = connection.getresponse()
    answer.read()
    proof = answer.getheader(PROOF_HEADER, "")
    return answer.status == 200 and is_equal(proof, prove(credential, nonce, port))


def require_proof(uri: str, folder: Path) -> None:
    """Require that what listens at our server's address is our server; else nothing is sent there.

    Raises:
        EnvironmentSetupError: if it is another one.
        OSError: if nothing answers.
        HTTPException: if its answer is none.
    """
    if not is_own(uri, folder):
        return
    port = urlsplit(uri).port or 80
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        require_proof_on(connection, port, read_credential(folder))
    finally:
        connection.close()


def require_proof_on(connection: http.client.HTTPConnection, port: int, credential: str) -> None:
    """Require that the server at the other end of a connection knows the credential.

    Raises:
        EnvironmentSetupError: if it does not.
    """
    if not is_proven(connection, port, credential):
        raise EnvironmentSetupError(
            f"port {port} on {HOST} is another program's, not our MLflow server's: it is sent "
            "nothing; once it is free the server is started there again"
        )


def write_start_page(folder: Path, uri: str, to: str = "") -> Path:
    """Write the file that opens the MLflow page for whoever can read it, and return its path.

    Args:
        folder: the home folder.
        uri: of its server.
        to: what to show: the part of an address from its `#` on.
    """
    path = folder / "mlflow-page.html"
    page = _START_PAGE.format(
        action=html.escape(uri + SIGN_IN_PATH),
        code=html.escape(make_pass(read_credential(folder), "start page")),
        to=html.escape(to),
    )
    write_private(path, page)
    return path


def _sign(credential: str, text: str) -> str:
    return hmac.new(credential.encode(), text.encode(), hashlib.sha256).hexdigest()
