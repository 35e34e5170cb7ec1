"""Check the memory, the devices and the processor of this machine."""

import os
import shutil
from pathlib import Path

from search.doctor.check import Check

_GIB = 2**30


def check_shared_memory() -> Check:
    """Check the size of /dev/shm, where Ray keeps its objects; a small one makes it slow."""
    shm = Path("/dev/shm")
    if not shm.is_dir():
        return Check("shared memory", "note", "no /dev/shm", "Ray uses /tmp instead, more slowly")
    size = shutil.disk_usage(shm).total / _GIB
    found = f"/dev/shm has {size:.1f} GiB"
    if size >= 0.25:
        return Check("shared memory", "ok", found)
    return Check("shared memory", "note", found, "in a container: docker run --shm-size=1g")


def check_devices() -> Check:
    """Check which devices torch can train on."""
    try:
        import torch
    except ImportError as error:
        return Check("torch", "problem", f"{error}", "pip install -c constraints.txt -e .")
    cores = os.cpu_count()
    if not torch.cuda.is_available():
        return Check("devices", "ok", f"{cores} CPU cores, no GPU: small networks only")
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Check("devices", "ok", f"{cores} CPU cores, {len(cards)} GPUs: {', '.join(cards)}")


def check_processor() -> Check:
    """Check that torch's kernels survive the convolution that crashes on some processors.

    Takes seconds, in a process of its own, which such a kernel can end.
    """
    from spkmodel.nn.kernel_check import WORKAROUND, check_kernels

    kernels = check_kernels()
    if kernels.ok:
        return Check("processor", "ok", kernels.detail)
    todo = (
        "the networks here convolve in another way and are not affected; for layers of your own, "
        f"and if trials die of SIGSEGV or SIGABRT: {WORKAROUND}, which is slower"
    )
    return Check("processor", "note", f"kernels cannot be trusted: {kernels.detail}", todo)
