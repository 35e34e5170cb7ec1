"""Run MLflow's server behind a check of the home folder's credential.

The check stands around MLflow's whole ASGI application: a route that MLflow adds later is behind it
as well. MLflow takes it by its option `--app-name`. The plug-in that this option asks for is
registered here, in the process that starts the server, so that it is there in a clone as well.
"""

import base64
import binascii
import html
import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from http.cookies import CookieError, SimpleCookie
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from search.tracking import server_access

APP_NAME = "spksearch"
FOLDER_VARIABLE = "SPKSEARCH_MLFLOW_FOLDER"
"""Names the folder with the credential's file to the server."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_MOST_FORM_BYTES = 4096
_SIGN_IN_PAGE = """<!doctype html>
<meta charset="utf-8"><title>MLflow of spksearch</title>
<h1>This MLflow page is its owner's</h1>
<p>{words}</p>
<p>Open the file <code>mlflow-page.html</code> of the folder <code>SPKSEARCH_HOME</code> in a
browser (<code>spksearch ui</code> renews it), or paste what <code>cat mlflow-credential</code>
shows there:</p><form method="post" action="{action}"><input type="password" name="code" autofocus>
<button>Sign in</button></form>
"""
_SIGNED_IN_PAGE = """<!doctype html>
<meta charset="utf-8"><meta http-equiv="refresh" content="0;url={to}"><title>MLflow</title>
<a href="{to}">MLflow</a>
"""


class CredentialCheck:
    """Passes on to an application what shows the credential, and answers the rest itself."""

    def __init__(self, application: Application, credential: str) -> None:
        self._application = application
        self._credential = credential

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_let_in(scope):
            await self._application(scope, receive, send)
        elif scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"] == server_access.SIGN_IN_PATH and scope["method"] == "POST":
            await self._sign_in(scope, receive, send)
        elif nonce := _header(scope, server_access.NONCE_HEADER):
            await self._prove(scope, nonce, send)
        else:
            await self._refuse(scope, send)

    def _is_let_in(self, scope: Message) -> bool:
        scheme, _, value = _header(scope, "Authorization").partition(" ")
        match scheme.lower():
            case "bearer":
                return server_access.is_equal(value.strip(), self._credential)
            case "basic":
                wanted = f"{server_access.USER}:{self._credential}"
                return server_access.is_equal(_decode(value), wanted)
            case _:
                return self._has_cookie(scope)

    def _has_cookie(self, scope: Message) -> bool:
        # A browser sends its cookies to every port of a name, and from the pages of every port: a
        # page of another server on this machine must not use them.
        origin = _header(scope, "Origin")
        if origin and origin.partition("://")[2] != _header(scope, "Host"):
            return False
        if _header(scope, "Sec-Fetch-Site") not in ("", "none", "same-origin"):
            return False
        try:
            found = SimpleCookie(_header(scope, "Cookie")).get(_cookie_name(scope))
        except CookieError:
            return False
        return found is not None and server_access.is_valid_pass(
            self._credential, "browser", found.value
        )

    async def _prove(self, scope: Message, nonce: str, send: Send) -> None:
        proof = server_access.prove(self._credential, nonce[:64], scope["server"][1])
        await _answer(send, 200, "text/plain", "OK", [(server_access.PROOF_HEADER, proof)])

    async def _refuse(self, scope: Message, send: Send) -> None:
        if "text/html" in _header(scope, "Accept"):
            await _ask(send, "It answers only who holds its credential.")
            return
        words = (
            "this MLflow server answers only with the credential of its owner, the contents of "
            "mlflow-credential in SPKSEARCH_HOME: set MLFLOW_TRACKING_TOKEN to them"
        )
        body = f'{{"error_code": "UNAUTHENTICATED", "message": "{words}"}}'
        await _answer(send, 401, "application/json", body)

    async def _sign_in(self, scope: Message, receive: Receive, send: Send) -> None:
        fields = parse_qs(await _read_form(receive))
        code, to = (fields.get(name, [""])[0].strip() for name in ("code", "to"))
        known = server_access.is_equal(code, self._credential)
        if not known and not server_access.is_valid_pass(self._credential, "start page", code):
            await _ask(send, "That was not the credential, or the file is too old.")
            return
        value = server_access.make_pass(self._credential, "browser")
        cookie = (
            f"{_cookie_name(scope)}={value}; Path=/; Max-Age={server_access.PASS_SECONDS}; "
            "HttpOnly; SameSite=Strict"
        )
        # A page and not a redirection: for a browser that is sent here by a file, what follows a
        # redirection would come from elsewhere, without the cookie.
        page = _SIGNED_IN_PAGE.format(to=html.escape(f"/{to}" if to.startswith("#") else "/"))
        await _answer(send, 200, "text/html", page, [("Set-Cookie", cookie)])


def create_application() -> Application:
    """Return MLflow's application behind the check; Uvicorn calls it in the server's process."""
    from mlflow.server.fastapi_app import app

    credential = server_access.read_credential(Path(os.environ[FOLDER_VARIABLE]))
    if not credential:
        raise SystemExit(f"no credential in {os.environ[FOLDER_VARIABLE]}: nothing is served")
    return CredentialCheck(app, credential)


def _cookie_name(scope: Message) -> str:
    return f"spksearch-{scope['server'][1]}"


def _header(scope: Message, name: str) -> str:
    wanted = name.lower().encode()
    return next((v.decode("latin-1") for k, v in scope["headers"] if k == wanted), "")


def _decode(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


async def _ask(send: Send, words: str) -> None:
    page = _SIGN_IN_PAGE.format(words=words, action=server_access.SIGN_IN_PATH)
    await _answer(send, 401, "text/html", page)


async def _read_form(receive: Receive) -> str:
    body, more = b"", True
    while more and len(body) <= _MOST_FORM_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body[:_MOST_FORM_BYTES].decode("latin-1")


async def _answer(
    send: Send, status: int, kind: str, text: str, more: list[tuple[str, str]] | None = None
) -> None:
    body = text.encode()
    headers = [
        ("Content-Type", f"{kind}; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"),
        *(more or []),
    ]
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


# --- the plug-in -----------------------------------------------------------------------------


class _Plugin(metadata.Distribution):
    """A package in name only, with the entry point that MLflow looks up."""

    def read_text(self, filename: str) -> str | None:
        factory = f"search.tracking.server_app:{create_application.__name__}"
        return {
            "METADATA": "Metadata-Version: 2.1\nName: spksearch-mlflow-app\nVersion: 1\n",
            "entry_points.txt": f"[mlflow.app]\n{APP_NAME} = {factory}\n",
        }.get(filename)

    def locate_file(self, path: Any) -> Any:
        return Path(path)


class _PluginFinder(metadata.DistributionFinder):
    """Shows the plug-in to `importlib.metadata`; no module is found by it."""

    def find_spec(self, *_: object) -> None:
        return None

    def find_distributions(self, context: Any = None) -> Iterator[metadata.Distribution]:
        if context is None or context.name is None:
            yield _Plugin()


def main() -> None:
    """Run MLflow's command line with the plug-in."""
    import sys

    sys.meta_path.append(_PluginFinder())
    from mlflow.cli import cli

    cli()


if __name__ == "__main__":
    main()
