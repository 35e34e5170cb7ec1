"""Whether a processor's kernels can be trusted is found out in a child process."""

import subprocess
import sys

import pytest

from spkmodel.nn import kernel_check

RUN = subprocess.run


def child_that(monkeypatch, program):
    """Let the check run `program` as its child process."""

    def run(_command, **options):
        return RUN([sys.executable, "-c", program], **options)

    monkeypatch.setattr(kernel_check.subprocess, "run", run)


def test_a_child_that_ends_well_means_kernels_that_can_be_trusted(monkeypatch):
    child_that(monkeypatch, "print('8 -> 8 channels on 6 x 26')")
    assert kernel_check.check_kernels().ok


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_child_that_dies_of_a_signal_names_it_and_the_size_that_it_ran(monkeypatch, name):
    program = (
        "import os, signal; print('4 -> 8', flush=True); "
        f"signal.signal(signal.{name}, signal.SIG_DFL); os.kill(os.getpid(), signal.{name})"
    )
    child_that(monkeypatch, program)
    check = kernel_check.check_kernels()
    assert not check.ok
    assert name in check.detail
    assert "4 -> 8" in check.detail


def test_wrong_numbers_are_told_from_a_program_that_could_not_run(monkeypatch):
    child_that(monkeypatch, "raise SystemExit(3)")
    wrong = kernel_check.check_kernels()
    child_that(monkeypatch, "import no_such_module_here")
    broken = kernel_check.check_kernels()
    assert not wrong.ok
    assert "wrong gradients" in wrong.detail
    assert not broken.ok
    assert "no_such_module_here" in broken.detail


def test_a_child_that_hangs_is_ended(monkeypatch):
    child_that(monkeypatch, "import time; time.sleep(60)")
    check = kernel_check.check_kernels(timeout_seconds=0.5)
    assert not check.ok
    assert "no end" in check.detail


def test_wrong_gradients_are_seen(monkeypatch):
    import torch

    plain = torch.nn.functional.conv2d
    size = kernel_check._SIZES[-1]
    # Odd rows instead of even ones, as a kernel that reads beside its buffer would.
    monkeypatch.setattr(
        torch.nn.functional,
        "conv2d",
        lambda maps, weight, stride: plain(maps[:, :, 1::stride, ::stride], weight),
    )
    assert not kernel_check._gradients_agree(size, seed=0)


def test_the_sizes_run_correctly_where_the_kernels_have_no_defect(monkeypatch):
    name, value = kernel_check.WORKAROUND.split("=")
    monkeypatch.setenv(name, value)
    assert kernel_check.check_kernels() == kernel_check.KernelCheck(
        True, "strided 1 x 1 convolutions are correct in bfloat16"
    )


def test_importing_the_check_loads_no_torch():
    program = "import sys, spkmodel.nn.kernel_check; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
