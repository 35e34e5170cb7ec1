"""Check whether this processor's convolution kernels can be trusted.

It runs the plain 1 x 1 convolution with stride 2 that oneDNN in torch 2.11 computes with a kernel
that corrupts the heap (see `spkmodel.nn.strided`), in a child process because a corrupted heap ends
the process that has it. Importing this module loads no torch.
"""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

WORKAROUND = "ONEDNN_MAX_CPU_ISA=AVX2"
"""The environment variable that makes oneDNN use kernels without the defect; they are slower."""

_TOLERANCE = 0.05
"""Largest error of a gradient, relative to its largest entry: bfloat16 keeps 8 bits (0.4 %)."""


class _Size(NamedTuple):
    """One size of the convolution that crashed on an affected processor."""

    channels_in: int
    channels: int
    rows: int
    columns: int
    repetitions: int

    def __str__(self) -> str:
        return f"{self.channels_in} -> {self.channels} channels on {self.rows} x {self.columns}"


_BATCH = 8
_SIZES = (
    _Size(8, 8, 64, 200, 150),
    _Size(8, 8, 6, 26, 50),
    _Size(8, 16, 6, 26, 50),
    _Size(4, 8, 6, 26, 50),
)


@dataclass(frozen=True)
class KernelCheck:
    """Whether the kernels can be trusted, and what was found."""

    ok: bool
    detail: str


def check_kernels(timeout_seconds: float = 120.0) -> KernelCheck:
    """Run the defective convolution in a child process and report how the child ended."""
    # By path: the child needs torch alone, wherever this package was imported from. -P keeps the
    # folder of this file, whose modules have common names, off its module path.
    command = [sys.executable, "-P", str(Path(__file__).resolve())]
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return KernelCheck(False, f"strided 1 x 1 convolution: no end in {timeout_seconds:.0f} s")
    return _read_end(child.returncode, child.stdout, child.stderr)


def _read_end(returncode: int, output: str, errors: str) -> KernelCheck:
    """Turn the end of the child process into a verdict."""
    started = output.splitlines() or ["not begun"]
    what = f"bfloat16 1 x 1 convolution with stride 2 ({started[-1]})"
    if returncode == 0:
        return KernelCheck(True, "strided 1 x 1 convolutions are correct in bfloat16")
    if returncode < 0:
        return KernelCheck(False, f"{what} crashed with {signal.Signals(-returncode).name}")
    if returncode == _WRONG_NUMBERS:
        return KernelCheck(False, f"{what} computes wrong gradients")
    last = (errors.strip().splitlines() or ["no message"])[-1]
    return KernelCheck(False, f"{what} could not be run: {last}")


_WRONG_NUMBERS = 3


def _run_all_sizes() -> int:
    """Run every size in this process, which may crash; return the exit code."""
    # A crash is an answer here, so it leaves no core file behind.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for size in _SIZES:
        # The last line that was printed tells the parent which size crashed.
        sys.stdout.write(f"{size}\n")
        sys.stdout.flush()
        if not all(_gradients_agree(size, seed) for seed in range(size.repetitions)):
            return _WRONG_NUMBERS
    return 0


def _gradients_agree(size: _Size, seed: int) -> bool:
    """Compare the gradients of the strided convolution with a matrix product in float32."""
    import torch

    chance = torch.Generator().manual_seed(seed)
    weight = torch.randn(size.channels, size.channels_in, 1, 1, generator=chance)
    maps = torch.randn(_BATCH, size.channels_in, size.rows, size.columns, generator=chance)
    # Rounded first: both sides then see the same numbers.
    weight = weight.bfloat16().float().requires_grad_()
    maps = maps.bfloat16().float().contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = torch.nn.functional.conv2d(maps, weight, stride=2)
    found = torch.autograd.grad(out.float().square().sum(), (maps, weight))
    expected_out = torch.einsum("bihw,oi->bohw", maps[:, :, ::2, ::2], weight[:, :, 0, 0])
    expected = torch.autograd.grad(expected_out.square().sum(), (maps, weight))
    return all(
        bool((one - other).abs().max() <= _TOLERANCE * other.abs().max())
        for one, other in zip(found, expected, strict=True)
    )


if __name__ == "__main__":
    sys.exit(_run_all_sizes())
