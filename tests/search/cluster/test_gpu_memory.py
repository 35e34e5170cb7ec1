"""Shares of a GPU, as a faked measurement tells them."""

import pytest
import torch

from search.cluster.gpu_memory import describe_overuse, find_largest_share
from search.ledger.state import SearchState
from search.reporting import snapshot, tables
from spkmodel.worker import trainable


@pytest.fixture
def search(ledger_on_disk):
    def with_shares(given, *shares):
        search = ledger_on_disk(f"shares-{given}-{len(shares)}")
        search.begin(gpus_per_trial=given)
        for number, share in enumerate(shares, start=1):
            name = search.trial(number)
            search.segment(name, 1)
            search.report(name, 1, 0.1)
            search.events[-1] = search.events[-1].model_copy(update={"gpu_share": share})
        return SearchState.from_events(search.events)

    return with_shares


def test_the_trial_that_takes_more_than_its_share_is_named_with_a_share_that_would_do(search):
    state = search(0.25, 0.2, 0.41, 0.3)
    assert find_largest_share(state) == (0.41, "t0002")
    told = describe_overuse(state)
    assert told.startswith("t0002 has held 41% of its GPU's memory, more than its share, 25%")
    assert told.endswith("--gpus-per-trial 0.5")
    now = snapshot.take_snapshot(state)
    assert now.warning == told
    assert f"warning: {told}" in tables.describe_changes(snapshot.take_snapshot(search(0.5)), now)


@pytest.mark.parametrize("given", [None, 0.0, 1.0, 0.5])
def test_a_whole_gpu_none_or_enough_is_no_reason_to_warn(search, given):
    assert describe_overuse(search(given, 0.41)) == ""


def test_a_search_that_measured_nothing_warns_of_nothing(search):
    assert find_largest_share(search(0.25)) == (0.0, "")
    assert describe_overuse(search(0.25, 0.0)) == ""


def test_what_the_allocator_has_held_is_what_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert trainable._gpu_share() == 0.0
    properties = type("Properties", (), {"total_memory": 80 << 30})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 20 << 30)
    assert trainable._gpu_share() == 0.25
