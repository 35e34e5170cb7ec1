"""How many cores may be used."""

import os

import pytest

from spkmodel.core import cores


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000\n", 8),
        ("400000 100000\n", 4),
        ("50000 100000\n", 1),
        ("9900000 100000\n", 8),
        ("?", 8),
    ],
)
def test_no_more_cores_are_used_than_scheduler_and_quota_allow(
    tmp_path, monkeypatch, quota, expected
):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cores.usable_cores() == expected
