"""Room on machines that differ, by hand."""

import pytest

from search.cluster.slots import (
    Needs,
    Node,
    count_slots,
    count_slots_on,
    decide_needs,
    explain_no_slot,
    warn_of_unstated_gpus,
)


@pytest.mark.parametrize(
    ("cpus", "gpus", "needs", "fit"),
    [
        (4, 0, Needs(1), 4),
        (4, 0, Needs(1.5), 2),
        (0, 0, Needs(1), 0),
        (8, 2, Needs(1, 1), 2),
        (1, 2, Needs(1, 1), 1),
        (8, 2, Needs(1, 0.5), 4),
        (8, 3, Needs(1, 2), 1),
        (0.3, 0, Needs(0.1), 3),
        (8, 1, Needs(1, 1 / 3), 3),
        (8, 0, Needs(1, 0.5), 0),
    ],
)
def test_a_machine_has_room_for_what_fits_on_it(cpus, gpus, needs, fit):
    assert count_slots_on(Node("n", cpus, gpus), needs) == fit


def test_a_share_of_a_gpu_is_a_share_of_one_gpu():
    # 2 / 0.4 would be five; two fit on each.
    assert count_slots_on(Node("n", 16, 2), Needs(1, 0.4)) == 4


def test_what_machines_have_left_over_does_not_add_up_to_another_slot():
    nodes = [Node("a", 3, 0), Node("b", 3, 0), Node("head", 0, 0)]
    assert count_slots(nodes, Needs(2)) == 2
    assert count_slots(nodes, Needs(4)) == 0


def test_what_fits_nowhere_is_said_with_what_each_kind_of_machine_has():
    nodes = [Node(f"10.0.0.{i}", 4, 0) for i in range(1, 6)] + [Node("10.0.0.9", 8, 1)]
    assert explain_no_slot(nodes, Needs(4)) == ""
    reason = explain_no_slot(nodes, Needs(2, 2))
    assert "a trial wants 2 CPUs and 2 GPUs" in reason
    assert "10.0.0.9: 8 CPUs and 1 GPU" in reason
    assert "10.0.0.1, 10.0.0.2, 10.0.0.3 and 2 more: 4 CPUs and no GPU" in reason


@pytest.mark.parametrize(
    ("gpus", "cpus_there", "gpus_there", "warned"),
    [(None, 0, 0, True), (1.0, 0, 0, False), (0.0, 0, 0, False), (None, 8, 0, False)],
)
def test_where_machines_are_yet_to_come_gpus_have_to_be_asked_for(
    gpus, cpus_there, gpus_there, warned
):
    told = warn_of_unstated_gpus(1.0, gpus, cpus_there, gpus_there)
    assert ("--gpus-per-trial 1" in told) is warned


def test_a_trial_gets_a_gpu_where_there_are_some_and_nothing_is_said():
    assert decide_needs(1, None, 4) == Needs(1, 1)
    assert decide_needs(1, None, 0) == Needs(1, 0)
    assert decide_needs(2, 0.25, 0) == Needs(2, 0.25)
