"""A space that never ends, or ends its process, is refused from outside."""

import time

import pytest

from search.core.errors import UsageError
from search.space import loader, trial_walk

HEAD = "from spkmodel.config import TrainConfig\nimport os, time\n"


def _file(tmp_path, body):
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}def space(trial):\n    {body}\n    return TrainConfig()\n")
    return str(path)


def test_a_space_that_loops_for_ever_is_refused_after_its_time(tmp_path):
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"not walked in 1 s; space\(\) asks and returns at once"):
        trial_walk.require_end(_file(tmp_path, "time.sleep(1000)"), seconds=1)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("code", [0, 3])
def test_a_space_that_ends_its_process_is_refused(tmp_path, code):
    with pytest.raises(UsageError, match=rf"ended the process that ran it \(exit code {code}\)"):
        trial_walk.require_end(_file(tmp_path, f"os._exit({code})"))


def test_a_sound_space_and_one_with_an_error_are_left_to_the_loader(tmp_path):
    trial_walk.require_end(_file(tmp_path, "pass"))
    broken = _file(tmp_path, "raise ValueError('no')")
    trial_walk.require_end(broken)
    with pytest.raises(UsageError, match="no"):
        loader.branches(loader.load(broken))


def test_a_shipped_space_is_not_walked_before(monkeypatch):
    monkeypatch.setattr(trial_walk.subprocess, "run", None)
    trial_walk.require_end("triplet")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("trial.suggest_categorical('a', range(1_000_000))", "1000000 choices; at most 1000"),
        ("trial.suggest_int('a' * 300, 0, 1)", "its name has 300 characters"),
        ("trial.suggest_int('a=b', 0, 1)", "one that MLflow records"),
        ("[trial.suggest_int(f'a{i}', 0, 1) for i in range(5000)]", "more than 1000 axes"),
    ],
)
def test_a_space_is_bounded(tmp_path, body, said):
    with pytest.raises(UsageError, match=said):
        loader.branches(loader.load(_file(tmp_path, body)))
