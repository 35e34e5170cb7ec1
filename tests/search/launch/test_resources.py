"""What a machine has not got is refused before anything is written, and before torch is there."""

import os
import subprocess
import sys

import pytest

from search.cluster import local_resources
from search.cluster.slots import Needs
from search.core.errors import EnvironmentSetupError, UsageError
from search.core.paths import ledger_path
from search.launch import resources
from search.launch.resources import require_asked_resources
from search.launch.settings import LaunchRequest, read_settings
from tests.support.command_line import failed
from tests.support.ledger_on_disk import LedgerOnDisk
from tests.support.tiny_space import SPACE


@pytest.fixture
def _two_processors_and_no_gpu(monkeypatch):
    monkeypatch.setattr(local_resources, "count_usable_cpus", lambda: 2)
    monkeypatch.setattr(local_resources, "count_usable_gpus", lambda: 0)
    # Other tests of the run may have started a Ray in this process.
    monkeypatch.setattr(resources, "_is_connected", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny.py").write_text(SPACE)
    return str(tmp_path / "tiny.py")


@pytest.mark.usefixtures("_two_processors_and_no_gpu")
@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (["--gpus-per-trial", "1"], "this machine has 2 CPUs and no GPU; set --gpus-per-trial 0"),
        (["--gpus-per-trial", "0.5", "--dry-run"], "and 0.5 GPU"),
        (["--gpus-per-trial", "1", "--detach"], "no GPU"),
        (["--cpus-per-trial", "3"], "set --cpus-per-trial to 2 or less"),
    ],
)
def test_what_the_machine_has_not_got_is_refused_before_anything_is_written(
    asked, named, tiny, spksearch_home, capsys
):
    code, said = failed(capsys, "launch", tiny, "--corpus", "no-such-corpus", *asked)
    assert (code, named in said) == (3, True), said
    assert list(spksearch_home.iterdir()) == []


def test_the_refusal_needs_neither_torch_nor_ray(tiny, spksearch_home):
    program = (
        "import sys; from search.cli.app import run; "
        "code = run(['launch', sys.argv[1], '--corpus', '.', '--cpus-per-trial', '1000000']); "
        "print(code, sorted({'torch', 'ray', 'mlflow'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tiny],
        env={**os.environ, "SPKSEARCH_HOME": str(spksearch_home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "3 []\n"


def test_gpus_are_counted_as_ray_counts_them(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local_resources.count_usable_gpus.__wrapped__() == 0
    # Without an answer nothing is refused here: Ray says it when it starts.
    monkeypatch.setattr(local_resources, "_COUNT_GPUS", "raise SystemExit(1)")
    assert local_resources.count_usable_gpus.__wrapped__() is None


@pytest.mark.usefixtures("_two_processors_and_no_gpu")
def test_a_search_that_asks_for_other_resources_is_refused_and_stays_as_it_was(spksearch_home):
    LedgerOnDisk(spksearch_home, "old").begin(cpus_per_trial=1.0, gpus_per_trial=None)
    before, written = read_settings("old"), ledger_path("old").read_bytes()
    with pytest.raises(EnvironmentSetupError, match="no GPU; set --gpus-per-trial 0"):
        require_asked_resources(LaunchRequest(space="s", corpus="c", gpus_per_trial=1.0), before)
    assert ledger_path("old").read_bytes() == written
    # The same without the flag goes on.
    require_asked_resources(LaunchRequest(space="s", corpus="c"), before)


@pytest.mark.usefixtures("_two_processors_and_no_gpu")
def test_a_search_that_had_a_gpu_may_still_be_looked_at_and_goes_on_without(spksearch_home):
    LedgerOnDisk(spksearch_home, "moved").begin(cpus_per_trial=1.0, gpus_per_trial=1.0)
    before = read_settings("moved")
    require_asked_resources(LaunchRequest(space="s", corpus="c"), before)
    require_asked_resources(LaunchRequest(space="s", corpus="c", gpus_per_trial=0.0), before)


@pytest.mark.usefixtures("_two_processors_and_no_gpu")
def test_a_cluster_is_asked_when_it_is_joined():
    request = LaunchRequest(space="s", corpus="c", gpus_per_trial=8.0, address="10.0.0.1:6379")
    require_asked_resources(request, None)


@pytest.mark.parametrize(
    ("cpus", "gpus", "option"),
    [
        (float("nan"), None, "--cpus-per-trial"),
        (float("inf"), None, "--cpus-per-trial"),
        (1e-5, None, "--cpus-per-trial"),
        (1.0, 1.5, "--gpus-per-trial"),
        (1.0, 1e-5, "--gpus-per-trial"),
        (1.0, float("nan"), "--gpus-per-trial"),
        (1.0, float("inf"), "--gpus-per-trial"),
        (1.0, -1.0, "--gpus-per-trial"),
    ],
)
def test_numbers_that_ray_does_not_take_are_refused(cpus, gpus, option):
    request = LaunchRequest(space="s", corpus="c", cpus_per_trial=cpus, gpus_per_trial=gpus)
    with pytest.raises(UsageError, match=option):
        require_asked_resources(request, None)


def test_a_share_of_each_of_several_gpus_has_room(monkeypatch):
    monkeypatch.setattr(local_resources, "count_usable_cpus", lambda: 8)
    monkeypatch.setattr(local_resources, "count_usable_gpus", lambda: 2)
    local_resources.require_room_here(Needs(1, 0.25))
    local_resources.require_room_here(Needs(8, 2))
    with pytest.raises(EnvironmentSetupError, match="2 GPUs; set --gpus-per-trial to 2 or less"):
        local_resources.require_room_here(Needs(1, 3))
