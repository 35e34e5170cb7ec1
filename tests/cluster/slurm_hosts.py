"""Start Slurm on hosts: a controller and three nodes, each with its own munge daemon and /run."""

import secrets
import shutil
from pathlib import Path

from tests.cluster.hosts import Host, Network
from tests.cluster.programs import Program, wait_for

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "munged")

_CONFIGURATION = """
ClusterName=rig
SlurmctldHost=controller({controller})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# How long a job waits that is put back into the queue; Slurm's own is 120 s.
AuthInfo=socket=/run/munge.socket,cred_expire=10
StateSaveLocation=/run/slurmctld
SlurmdSpoolDir=/run/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
KillWait=15
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Return which of Slurm's programs are missing; empty if none."""
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"needs {', '.join(lacking)} (Debian: slurm-wlm, munge)" if lacking else ""


class Slurm:
    """Controller and nodes, started."""

    def __init__(self, network: Network, storage: Path, nodes: int = 3) -> None:
        folder = storage / "slurm"
        folder.mkdir()
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        configuration = folder / "slurm.conf"
        environment = {"SLURM_CONF": str(configuration)}
        self.controller = network.host("controller", **environment)
        self.nodes = [network.host(f"n{number + 1}", **environment) for number in range(nodes)]
        lines = [
            f"NodeName={node.name} NodeAddr={node.address} CPUs=1 RealMemory=1000 State=UNKNOWN"
            for node in self.nodes
        ]
        configuration.write_text(
            _CONFIGURATION.format(controller=self.controller.address, nodes="\n".join(lines))
        )
        for host in (self.controller, *self.nodes):
            _munge(host, key)
        self.daemons = [self.controller.start("slurmctld", "-D", "-c", log="slurmctld")]
        self.daemons += [
            node.start("slurmd", "-D", "-N", node.name, log="slurmd") for node in self.nodes
        ]
        wait_for(self._ready, 60, "Slurm's nodes to be idle")

    def _ready(self) -> bool:
        for daemon in self.daemons:
            assert daemon.running, daemon.tail()
        answer = self.controller.run("sinfo", "-h", "-t", "idle", "-o", "%D")
        return answer.stdout.strip() == str(len(self.nodes))

    def submit(self, script: Path, *arguments: str, output: Path, **environment: str) -> str:
        """Submit a job on every node, and return its number."""
        answer = self.controller.run(
            *("sbatch", "--parsable", f"--nodes={len(self.nodes)}", f"--output={output}"),
            *("--time=30", str(script), *arguments),
            **environment,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    def requeue(self, job: str) -> None:
        """Take a job from its nodes and put it back into the queue."""
        answer = self.controller.run("scontrol", "requeue", job)
        assert answer.returncode == 0, answer.stderr

    def field(self, job: str, name: str) -> str:
        """Return a field of `scontrol show job`."""
        words = self.controller.run("scontrol", "show", "job", job).stdout.split()
        return next(word for word in words if word.startswith(f"{name}=")).partition("=")[2]

    def power_off(self) -> None:
        for host in (self.controller, *self.nodes):
            host.power_off()


def _munge(host: Host, key: Path) -> Program:
    """Start a munge daemon on a host, in a /run of the host's own."""
    for command in (
        ["mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run"],
        ["mkdir", "/run/slurmctld", "/run/slurmd"],
        ["install", "--mode=400", str(key), "/run/munge.key"],
    ):
        answer = host.run(*command)
        assert answer.returncode == 0, answer.stderr
    daemon = host.start(
        *("munged", "--foreground", "--force", "--key-file=/run/munge.key"),
        *("--socket=/run/munge.socket", "--pid-file=/run/munged.pid"),
        *("--log-file=/run/munged.log", "--seed-file=/run/munged.seed"),
        log="munged",
    )
    wait_for(
        lambda: (
            not daemon.running
            or host.run("munge", "--socket=/run/munge.socket", "-n").returncode == 0
        ),
        20,
        "munge",
    )
    assert daemon.running, daemon.tail()
    return daemon
