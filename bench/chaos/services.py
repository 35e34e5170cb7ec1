"""What a search talks to, in forms that can be broken: a proxy before MLflow, a PostgreSQL."""

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

from search.tracking.server import HOST

ProxyBehaviour = Literal["fine", "slow", "failing", "away"]

SLOW_SECONDS = 5.0
_FAILURE = b'{"error_code": "INTERNAL_ERROR", "message": "a fault was planted"}'
_ANSWER_500 = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_FAILURE), _FAILURE)
)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Proxy:
    """Passes HTTP on to a server, or not: every request of a slow one waits, connections included.

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
        """For clients."""
        return f"http://{HOST}:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Listen no more."""
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
    """One whole request, its `Connection` header set to close."""
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
    """A PostgreSQL of our own on a free port of 127.0.0.1, by a user that is not root."""

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
        """For MLflow's server."""
        return f"postgresql+psycopg2://spksearch@{HOST}:{self.port}/tracking"

    @property
    def pid(self) -> int:
        """Of its first process; 0 while it is down."""
        try:
            return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        except FileNotFoundError:
            return 0

    def start(self) -> None:
        """Let it run, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses={HOST} -c unix_socket_directories='' -F"
        self._control("start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        """End it at once, as a crash would: it recovers at its next start."""
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
    """Why there can be no PostgreSQL here; empty if there can."""
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
    """A file system of its own at `place`, that can be full; wants root."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "chaos", str(place)], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def why_no_small_disk() -> str:
    """Why no file system can be mounted here; empty if one can."""
    if os.getuid():
        return "mounting a small file system wants root"
    inside = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    done = subprocess.run(inside, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no file system can be mounted: {done.stderr.strip()}"
