"""Run services that can be broken on purpose: a proxy in front of MLflow, a PostgreSQL."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from search.tracking.server_access import HOST

ProxyBehaviour = Literal["fine", "slow", "failing", "away"]

SLOW_SECONDS = 5.0
_FAILURE = b'{"error_code": "INTERNAL_ERROR", "message": "a fault was planted"}'
_ANSWER_500 = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_FAILURE), _FAILURE)
)


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Proxy:
    """Passes HTTP on to a server, slowly or not at all when told so.

    One request a connection: both sides are told to close, so that every call meets the mood.
    """

    def __init__(self, to_port: int) -> None:
        self.set_behaviour: ProxyBehaviour = "fine"
        self.calls = 0
        """Requests that came while the mood was not fine."""
        self._to_port = to_port
        self._listener = socket.create_server((HOST, 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def uri(self) -> str:
        """The proxy's address, for clients."""
        return f"http://{HOST}:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.settimeout(60)
            request = _read_request(client)
            if not request:
                return
            set_behaviour = self.set_behaviour
            self.calls += set_behaviour != "fine"
            if set_behaviour == "away":
                return
            if set_behaviour == "failing":
                client.sendall(_ANSWER_500)
                return
            if set_behaviour == "slow":
                time.sleep(SLOW_SECONDS)
            with socket.create_connection((HOST, self._to_port), timeout=60) as server:
                server.sendall(request)
                while part := server.recv(1 << 16):
                    client.sendall(part)


def _read_request(client: socket.socket) -> bytes:
    """Return one whole request, its `Connection` header set to close."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = client.recv(1 << 16)
        if not part:
            return b""
        head += part
    head, _, body = head.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    length = 0
    for line in lines:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += client.recv(1 << 16)
    return b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n" + body


class Postgres:
    """Runs a PostgreSQL on a free port of 127.0.0.1, as a user that is not root."""

    def __init__(self, folder: Path) -> None:
        self._programs = _programs()
        self.folder = folder
        self.port = free_port()
        folder.mkdir(parents=True)
        if os.getuid() == 0:
            shutil.chown(folder, _user())
            folder.parent.chmod(0o755)
        self._call("initdb", "-D", str(folder / "data"), "-U", "spksearch", "--auth=trust", "-N")
        self.start()
        self._call("createdb", "-h", HOST, "-p", str(self.port), "-U", "spksearch", "tracking")

    @property
    def uri(self) -> str:
        """The database's address, for MLflow's server."""
        return f"postgresql+psycopg2://spksearch@{HOST}:{self.port}/tracking"

    @property
    def pid(self) -> int:
        """The id of its first process; 0 while it is down."""
        try:
            return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        except FileNotFoundError:
            return 0

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses={HOST} -c unix_socket_directories='' -F"
        self._control("start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        """Stop it at once, as a crash would; it recovers at its next start."""
        self._control("stop", "-m", "immediate")

    def _control(self, *words: str) -> None:
        self._call("pg_ctl", "-D", str(self.folder / "data"), *words)

    def _call(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), *words]
        if os.getuid() == 0:
            command = ["runuser", "-u", _user(), "--", *command]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", timeout=60
        )
        if done.returncode:
            raise OSError(f"{program}: {done.stderr.strip()[-300:]}")


def why_no_postgres() -> str:
    """Return why no PostgreSQL can run on this machine; empty if one can."""
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        return "psycopg2 is not installed: pip install 'spksearch[server]'"
    try:
        _programs()
        return "" if os.getuid() else ("" if _user() else "no user to run PostgreSQL as")
    except FileNotFoundError as error:
        return str(error)


def _programs() -> Path:
    places = [Path(found).parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if all((place / each).is_file() for each in ("initdb", "pg_ctl", "createdb")):
            return place
    raise FileNotFoundError("no initdb, pg_ctl and createdb here; Debian has them in postgresql")


def _user() -> str:
    import pwd

    names = {each.pw_name for each in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), "")


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """Mount a file system of some megabytes at `place` until the context ends; needs root."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "chaos", str(place)], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def why_no_small_disk() -> str:
    """Return why no file system can be mounted on this machine; empty if one can."""
    if os.getuid():
        return "mounting a small file system wants root"
    inside = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    done = subprocess.run(inside, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no file system can be mounted: {done.stderr.strip()}"
