"""Know what this machine has for trials before Ray is started here."""

import os
import subprocess
import sys
from functools import cache

from search.cluster.slots import Needs, Node, count_slots_on, describe_share
from search.core.errors import EnvironmentSetupError

_COUNT_GPUS = """
from ray._private import accelerators
from ray._private.resource_and_label_spec import ResourceAndLabelSpec
manager, number = ResourceAndLabelSpec._get_current_node_accelerator(None, {})
print(number if manager and manager.get_resource_name() == "GPU" else 0)
"""
"""What Ray itself does when a head starts: one kind of accelerator a machine, the visible ones."""
_COUNT_SECONDS = 30.0


def count_usable_cpus() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


@cache
def count_usable_gpus() -> int | None:
    """Return the number of GPUs that a Ray head of our own would have; None: it cannot be told.

    Ray counts them, in a process of its own: who imports it here fixes its settings.
    """
    try:
        counted = subprocess.run(
            [sys.executable, "-P", "-c", _COUNT_GPUS],
            capture_output=True,
            text=True,
            timeout=_COUNT_SECONDS,
            check=True,
        )
        return int(counted.stdout.split()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None  # Ray says it when it starts


def require_room_here(needs: Needs) -> None:
    """Require that a trial fits on this machine; quick where it takes no GPU.

    Raises:
        EnvironmentSetupError: it does not, with what the machine has.
    """
    cpus = count_usable_cpus()
    gpus = count_usable_gpus() if needs.gpus else 0
    if gpus is None or count_slots_on(Node("", cpus, gpus), needs):
        return
    remedies = []
    if needs.cpus > cpus:
        remedies.append(f"set --cpus-per-trial to {cpus} or less")
    if needs.gpus > gpus:
        most = f"to {gpus} or less" if gpus else "0"
        remedies.append(
            f"set --gpus-per-trial {most} (`spksearch doctor` shows the GPUs that torch can use)"
        )
    raise EnvironmentSetupError(
        f"a trial wants {needs}, and this machine has {describe_share(cpus, gpus)}; "
        f"{' and '.join(remedies)}, or name a cluster that has them with --address"
    )
