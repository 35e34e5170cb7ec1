"""Tell processes of this host apart, also from later ones that got the same number."""

import subprocess
from functools import cache
from pathlib import Path


@cache
def boot_id() -> str:
    """Return the id of the kernel's boot, shortened; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return ""


def process_start(pid: int) -> str | None:
    """Return when a process of this host started, unique to it; None if it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("stat").exists():
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # A zombie does nothing any more; field 22 is the start time in ticks since boot.
        return None if after_name[0] in "ZX" else f"{boot_id()}-{after_name[19]}"
    answer = subprocess.run(  # a host without /proc
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return f"-{answer.stdout.strip()}" if answer.stdout.strip() else None
