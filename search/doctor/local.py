"""Check this machine: what is installed, what is reachable, what is wrong and what to do."""

import os
import re
import shutil
import socket
import stat
import sys
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from search.cluster.preflight import ClusterAuth, inspect_auth
from search.core.errors import SpksearchError
from search.core.paths import describe_openness, home, make_home
from search.core.redact import redact
from search.doctor.check import Check, Level
from search.doctor.hardware import check_devices, check_processor, check_shared_memory
from search.doctor.leftovers import check_leftovers

_GIB = 2**30
_ANSWER_SECONDS = 3.0


def examine() -> Iterator[Check]:
    """Yield the results of all checks, one after the other; the slow ones (torch, spaces) last."""
    checks: tuple[Callable[[], Check | list[Check]], ...] = (
        check_python,
        check_packages,
        check_home,
        check_disk,
        check_shared_memory,
        check_loopback,
        check_tracking,
        check_ray,
        check_tokens,
        check_leftovers,
        check_voices,
        check_browser,
        check_spaces,
        check_devices,
        check_processor,
    )
    for check in checks:
        result = check()
        yield from result if isinstance(result, list) else [result]


def check_python() -> Check:
    """Check that this is Python 3.11 to 3.14, as pyproject.toml asks for."""
    number = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info[:2] <= (3, 14):
        return Check("python", "ok", number)
    todo = "make a virtual environment with Python 3.11, 3.12, 3.13 or 3.14"
    return Check("python", "problem", number, todo)


def check_packages() -> list[Check]:
    """Compare what is installed with what pyproject.toml asks for."""
    try:
        wanted = [line for line in requires("spksearch") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        return [Check("packages", "problem", "spksearch is not installed", "pip install -e .")]
    wrong = [check for line in wanted if (check := _check_package(line)) is not None]
    return wrong or [Check("packages", "ok", f"{len(wanted)} as required")]


def _check_package(requirement: str) -> Check | None:
    """Return the problem with one installed package, if there is one."""
    match = re.match(r"([\w.-]+)(\[[^\]]*\])?\s*(.*)", requirement)
    assert match is not None
    name, wanted = match[1], match[3]
    todo = f"pip install -c constraints.txt '{name}{wanted}'"
    try:
        there = version(name)
    except PackageNotFoundError:
        return Check(name, "problem", f"missing, {wanted} is wanted", todo)
    if satisfies(there, wanted):
        return None
    return Check(name, "problem", f"{there} is installed, {wanted} is wanted", todo)


def satisfies(version_number: str, wanted: str) -> bool:
    """Return whether a version meets `==1.2.*`, `==1.2.3` or `>=1.2`."""
    operator, number = wanted[:2], wanted[2:].strip()
    match operator:
        case "==" if number.endswith(".*"):
            return version_number.startswith(number[:-1])
        case "==":
            return version_number == number
        case ">=":
            return _parse_version(version_number) >= _parse_version(number)
        case _:
            raise AssertionError(f"no rule for {wanted!r}")


def _parse_version(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)]


def check_home() -> Check:
    """Check that files can be created and renamed in the home folder."""
    folder = home()
    try:
        make_home(folder)
        # Unique names: two doctors at once must not disturb each other.
        draft, final = (folder / f".doctor-{uuid.uuid4().hex}{end}" for end in (".tmp", ""))
        draft.write_text("x")
        draft.replace(final)
        final.unlink()
    except OSError as error:
        todo = "set SPKSEARCH_HOME to a folder that can be written"
        return Check("home", "problem", f"{folder}: {error.strerror}", todo)
    if openness := describe_openness(folder):
        todo = f"to keep ledgers, checkpoints and logs to yourself: chmod 700 {quote(str(folder))}"
        return Check("home", "note", f"{folder} can be written; {openness}", todo)
    return Check("home", "ok", f"{folder} can be written, by you alone")


def check_disk() -> Check:
    """Check the free space for corpora and checkpoints."""
    folder = home()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / _GIB
    found = f"{free:.1f} GiB free at {there}"
    todo = "free some space, or set SPKSEARCH_HOME to a larger disk"
    if free < 1:
        return Check("disk", "problem", found, todo)
    return Check("disk", "ok" if free >= 5 else "note", found, "" if free >= 5 else todo)


def check_loopback() -> Check:
    """Check that a port can be opened on 127.0.0.1."""
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        found = f"no port can be opened on 127.0.0.1: {error.strerror}"
        return Check("ports", "problem", found, "allow connections within this machine")
    return Check("ports", "ok", "127.0.0.1 has free ports")


def check_tracking() -> Check:
    """Check the tracking server that is configured, or our own."""
    from search.tracking.server_access import is_own

    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None or is_own(uri, home()):
        return _check_own_server()
    if urlsplit(uri).scheme not in ("http", "https"):
        return Check("MLflow", "ok", f"{redact(uri)}, which needs no server")
    todo = "start it, correct MLFLOW_TRACKING_URI, or unset it: then a local server is started"
    try:
        # No proxy: a tracking server is asked directly, as MLflow's client would on this network.
        opener = build_opener(ProxyHandler({}))
        with opener.open(f"{uri.rstrip('/')}/health", timeout=_ANSWER_SECONDS):
            return Check("MLflow", "ok", f"{redact(uri)} answers")
    except HTTPError as error:
        error.close()  # it holds the connection, which Python 3.14 warns about
        found = f"{redact(uri)} answers {error.code} {error.reason}"
        if error.code in (401, 403):
            todo = "set MLFLOW_TRACKING_USERNAME and _PASSWORD; 403 may be its --allowed-hosts"
        return Check("MLflow", "problem", found, todo)
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Check("MLflow", "problem", f"{redact(uri)} gives no answer: {reason}", todo)


def _check_own_server() -> Check:
    from search.tracking.server import find_running

    server = find_running()
    if server is None:
        return Check("MLflow", "ok", "none configured: a local server starts with a search")
    if server.answers():
        return Check("MLflow", "ok", f"our own server answers at {server.uri}")
    return Check("MLflow", "note", f"our own server, {server.uri}, gives no answer yet")


def check_ray() -> Check:
    """Check the cluster that is configured; without one, a head of our own starts with a search."""
    address = os.environ.get("RAY_ADDRESS")
    if address in (None, "", "local"):
        return Check("Ray", "ok", "none configured: a local head starts with a search")
    # A head can be asked how it is guarded; of other addresses only a port can be tried.
    if "://" not in address:
        try:
            return check_guard(inspect_auth(address))
        except SpksearchError as problem:
            return Check("Ray", "problem", str(problem), "then a local head: unset RAY_ADDRESS")
    parts = urlsplit(address)
    place = (parts.hostname or "", parts.port or 6379)
    try:
        with socket.create_connection(place, timeout=_ANSWER_SECONDS):
            return Check("Ray", "ok", f"something listens at {redact(address)}")
    except OSError as error:
        todo = "start the cluster, correct RAY_ADDRESS, or unset it: then a local head is started"
        reason = error.strerror or "no answer"
        return Check("Ray", "problem", f"{redact(address)}: {reason}", todo)


def check_guard(auth: ClusterAuth) -> Check:
    """Check how a cluster is guarded against whoever can reach it."""
    tls = "with TLS" if auth.tls else "without TLS"
    if auth.auth_mode == "token":
        if auth.reachable and not auth.tls:
            todo = "in a network that is not yours alone: cluster/tls.sh, see docs/clusters.md"
            return Check("guard", "note", f"a token is asked for; it travels {tls}", todo)
        return Check("guard", "ok", f"a token is asked for, {tls}")
    if not auth.reachable:
        return Check("guard", "ok", "open, and on loopback alone")
    where = ", ".join(auth.machines[:3])
    todo = "start every machine with RAY_AUTH_MODE=token and a token file of mode 600"
    return Check(
        "guard", "problem", f"open: whoever reaches {where} can run code on the cluster", todo
    )


def check_tokens() -> list[Check]:
    """Check that authentication is on, and that only we can read our tokens."""
    checks = []
    if os.environ.get("RAY_AUTH_MODE") == "disabled":
        todo = "unset RAY_AUTH_MODE: whoever reaches a port of the cluster can run code on it"
        checks.append(Check("Ray token", "problem", "authentication is switched off", todo))
    if missing := _check_token_path():
        checks.append(missing)
    for path, used in _list_token_files():
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            found = f"{path} can be read by others than its owner"
            level: Level = "problem" if used else "note"
            checks.append(Check("Ray token", level, found, f"chmod 600 {path}"))
    return checks or [Check("Ray token", "ok", "authentication is on, no token lies open")]


def _check_token_path() -> Check | None:
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if named is None or Path(named).is_file():
        return None
    todo = "copy the cluster's token there, with mode 600, or unset RAY_AUTH_TOKEN_PATH"
    return Check("Ray token", "problem", f"RAY_AUTH_TOKEN_PATH: no file {named}", todo)


def _list_token_files() -> list[tuple[Path, bool]]:
    """Return the token files that exist, and whether a search of ours would use them."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if named:
        places = [(Path(named), True)]
    else:
        elsewhere = os.environ.get("RAY_ADDRESS") not in (None, "", "local")
        rays_own = Path.home() / ".ray/auth_token"
        places = [(home() / "ray-token", not elsewhere), (rays_own, elsewhere)]
    return [(path, used) for path, used in places if path.is_file()]


def check_voices() -> Check:
    """Check for the speech synthesiser of the built-in corpus, an extra."""
    if find_spec("espeakng_loader") is not None:
        return Check("voices", "ok", "espeakng-loader is installed: `spksearch demo` can speak")
    todo = "for `spksearch demo`: pip install -c constraints.txt 'spksearch[demo]'"
    return Check("voices", "note", "espeakng-loader is not installed", todo)


def check_browser() -> Check:
    """Check for Chromium, which only a test of the MLflow page needs."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return Check("browser", "ok", path)
    return Check("browser", "note", "no Chromium; only one test, which is then skipped, opens it")


def check_spaces() -> list[Check]:
    """Check that every space loads and each of its branches builds a config."""
    from search.space import loader

    checks = []
    for name in loader.available():
        try:
            count = len(loader.describe(loader.load(name)))
        except Exception as error:  # noqa: BLE001 (a space is a user's code and raises what it likes)
            todo = f"correct it: spksearch describe {name}"
            checks.append(Check(f"space {name}", "problem", f"{error}", todo))
        else:
            found = f"{count} axes, its combinations of choices build"
            checks.append(Check(f"space {name}", "ok", found))
    return checks
