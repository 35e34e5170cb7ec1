"""Make hosts on one machine: namespaces with an address, a name, processes, a /tmp/ray.

A network is one process id namespace with a bridge in it; hosts are namespaces below it. Nothing of
them is visible in the machine's own network, and the kernel ends all of it with the network's first
process, which ends when the tests do, however they do: it waits for the end of a pipe.
"""

import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from tests.cluster.namespaces import (
    UNSHARE,
    all_processes,
    answers,
    began,
    first_process,
    namespaces,
)
from tests.cluster.programs import Program

SUBNET = "10.77.0"
MARK = "SPKSEARCH_TEST_NETWORK"
"""Environment variable of every process in a network; its value is the network's own."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TOOLS = ("unshare", "nsenter", "ip", "mount")

# Built-in `read` alone, no program: the first process of a namespace has to reap its orphans.
_SWITCH = f"""
read -r pid _ < /proc/self/stat
ip link set lo up && ip link add switch type bridge && ip addr add {SUBNET}.254/24 dev switch &&
ip link set switch up && echo "$pid" || exit 1
while read -r _; do :; done
"""
_HOST = """
read -r pid _ < /proc/self/stat
hostname "$1" && mount -t proc proc /proc && mount -t tmpfs -o size=600m shm /dev/shm &&
mount --bind "$2/ray" /tmp/ray && mount --bind "$3" /etc/hosts && ip link set lo up &&
echo "$pid" || exit 1
while read -r _; do :; done
"""


def missing() -> str:
    """Return why no hosts can be made on this machine; empty if they can."""
    if os.geteuid() != 0:
        return "needs root: hosts are network, process and mount namespaces"
    lacking = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if lacking:
        return f"needs {', '.join(lacking)} (Debian: util-linux, iproute2)"
    answer = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return f"no namespaces here: {answer.stderr.strip()}" if answer.returncode else ""


class Host:
    """A host, which Ray and Slurm take for a machine."""

    def __init__(self, network: "Network", number: int, name: str, folder: Path) -> None:
        self.network = network
        self.name = name
        self.address = f"{SUBNET}.{number}"
        self.folder = folder
        self.environment: dict[str, str] = {}
        """On top of the network's."""
        self._cable = f"port{number}"
        self._programs: list[Program] = []
        (folder / "ray").mkdir(parents=True)
        enter = ["nsenter", f"--target={network.pid}", "--net", "--pid", "--mount", "--uts"]
        names = [name, str(folder), str(network.names)]
        self._root, self.pid = first_process(
            [*enter, *UNSHARE, "bash", "-c", _HOST, name, *names],
            network.environment,
            folder / "namespaces.log",
        )
        self._connect()
        self.namespaces = namespaces(self.pid)

    def _connect(self) -> None:
        switch = self.network.switch
        switch("link", "add", self._cable, "type", "veth", "peer", "name", "eth0")
        switch("link", "set", "eth0", "netns", str(self.pid))
        switch("link", "set", self._cable, "master", "switch", "up")
        inside = [*self._enter(), "ip"]
        for words in (
            ["addr", "add", f"{self.address}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["route", "add", "default", "via", f"{SUBNET}.254"],
        ):
            subprocess.run([*inside, *words], check=True)

    def _enter(self, directory: Path | None = None) -> list[str]:
        into = ["nsenter", f"--target={self.pid}", "--net", "--pid", "--mount", "--uts", "--ipc"]
        return [*into, f"--wdns={directory or self.network.source}", "--"]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            **self.network.environment,
            "HOME": str(self.folder),
            **self.environment,
            **more,
        }

    def run(
        self,
        *command: str,
        seconds: float = 120,
        directory: Path | None = None,
        **environment: str,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [*self._enter(directory), *command],
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(
        self, *command: str, log: str, directory: Path | None = None, **environment: str
    ) -> Program:
        """Run a command beside the tests; `log` names the file of its output."""
        words = [*self._enter(directory), *command]
        environment = self._environment(environment)

        def spawn(out: BinaryIO) -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                words,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        program = Program(spawn, self.folder / f"{log}.log")
        self._programs.append(program)
        return program

    def processes(self, words: str) -> list[int]:
        """Return the machine's ids of this host's processes whose command line has these words."""
        found = []
        for pid in all_processes():
            with contextlib.suppress(OSError):
                if namespaces(pid)["pid"] != self.namespaces["pid"]:
                    continue
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                if words in line.decode(errors="replace"):
                    found.append(pid)
        return found

    def answers(self, url: str, headers: Mapping[str, str] | None = None) -> int | None:
        """Return the status of a request made on this host; None if nothing answers."""
        return answers(self.pid, url, headers)

    def unplug(self) -> None:
        """Disconnect the host from the network; its processes go on."""
        self.network.switch("link", "set", self._cable, "down")

    def plug(self) -> None:
        self.network.switch("link", "set", self._cable, "up")

    def power_off(self) -> None:
        """End every process of the host at once, as a power cut does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._root.stdin.close()
        self._root.wait(30)
        for program in self._programs:
            program.wait(30)

    @property
    def on(self) -> bool:
        return self._root.poll() is None


class Network:
    """A bridge and the hosts on it; leaving the context ends them all."""

    def __init__(self, folder: Path, source: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.source = source
        """Where commands run."""
        self.mark = uuid.uuid4().hex
        self._closed_at = math.inf
        self.environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), _SYSTEM_PATH]),
            "LANG": "C.UTF-8",
            MARK: self.mark,
            **environment,
        }
        self.hosts: list[Host] = []
        self.names = folder / "etc-hosts"
        folder.mkdir(parents=True, exist_ok=True)
        self.names.write_text("127.0.0.1 localhost\n")
        # Ray's folder has to be there for a host's own to be mounted on it.
        Path("/tmp/ray").mkdir(exist_ok=True)
        self._root, self.pid = first_process(
            [*UNSHARE, "bash", "-c", _SWITCH],
            self.environment,
            folder / "namespaces.log",
        )
        self.namespaces = namespaces(self.pid)

    def host(self, name: str, **environment: str) -> Host:
        """Switch a new host on."""
        number = len(self.hosts) + 1
        with self.names.open("a") as names:
            names.write(f"{SUBNET}.{number} {name}\n")
        host = Host(self, number, name, self.folder / f"{number:02d}-{name}")
        host.environment = environment
        self.hosts.append(host)
        return host

    def switch(self, *words: str) -> None:
        """Run `ip` in the network that the cables end in."""
        enter = ["nsenter", f"--target={self.pid}", "--net", "ip"]
        subprocess.run([*enter, *words], check=True, timeout=10)

    def answers(self, url: str, headers: Mapping[str, str] | None = None) -> int | None:
        """Return the status of a request made from the network; None if nothing answers."""
        return answers(self.pid, url, headers)

    def close(self) -> None:
        """End everything."""
        for host in self.hosts:
            host.power_off()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._root.stdin.close()
        self._root.wait(30)
        self._closed_at = time.clock_gettime(time.CLOCK_BOOTTIME)

    def left(self) -> list[str]:
        """Return what still exists of the network: processes, mounts, links."""
        ours = {link for each in (self, *self.hosts) for link in each.namespaces.values()}
        left = []
        for pid in all_processes():
            with contextlib.suppress(OSError):
                # The kernel gives the numbers of ended namespaces to others' new ones.
                links = set(namespaces(pid).values()) if began(pid) < self._closed_at else set()
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                if links & ours or f"{MARK}={self.mark}".encode() in environment.split(b"\0"):
                    line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                    left.append(f"process {pid}: {line.decode(errors='replace')[:120]}")
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        left += [f"mount: {line}" for line in mounts if str(self.folder) in line]
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
        left += [
            f"link: {line}"
            for line in links.stdout.splitlines()
            if line.split(": ")[1].split("@")[0] in {"switch", *(h._cable for h in self.hosts)}
        ]
        return left

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
