"""What is kept of a search's checkpoints, told as stories."""

import pytest

from search.checkpoints import retention
from tests.support.scripted_search import ScriptedSearch

GB = 1_000_000_000


def gone(tale, **how):
    """By trial, the epochs whose checkpoints the plan removes."""
    found = {}
    for removal in retention.plan(tale.state, **how).removals:
        reports = tale.state.trials[removal.trial].reports.values()
        epochs = [report.epoch for report in reports if report.checkpoint in removal.checkpoints]
        found[removal.trial] = sorted(epochs)
    return found


def trained(tale, eers, to_rung=9, size=1000):
    """A trial that has come so far, with these dev EERs from its first epoch on."""
    name = tale.trial()
    tale.segment(name, to_rung)
    for epoch, eer in enumerate(eers, start=1):
        tale.report(name, epoch, eer, size=size)
    return name


def test_a_running_trial_keeps_its_last_two_and_its_best_if_it_is_among_the_best():
    tale = ScriptedSearch()
    tale.record("search", keep_checkpoints=1)
    best = trained(tale, [0.5, 0.1, 0.4, 0.3, 0.2])
    other = trained(tale, [0.4, 0.35, 0.4, 0.4, 0.4])
    assert gone(tale) == {best: [1, 3], other: [1, 2, 3]}


def test_what_rests_or_may_be_extended_keeps_its_last_two_and_what_has_ended_for_good_nothing():
    tale = ScriptedSearch()
    tale.record("search", keep_checkpoints=1)
    tale.train(trained(tale, []), 9, 0.1)
    names = [trained(tale, [0.3, 0.3, 0.3], to_rung=3) for _ in range(6)]
    tale.end(names[1], "stopped", by="budget")
    tale.end(names[2], "stopped", by="rule")
    tale.end(names[3], "failed", by="failure")
    tale.end(names[4], "killed", by="user")
    tale.segment(names[5], 9)
    tale.crash(names[5])
    prune = gone(tale)
    assert [prune[name] for name in names] == [[1], [1], [1, 2, 3], [1, 2, 3], [1, 2, 3], [1]]
    assert tale.state.trials["t0001"].state == "complete"
    assert prune["t0001"] == [2, 3, 4, 5, 6, 7]


def test_no_two_passes_remove_the_same_and_the_second_finds_nothing():
    tale = ScriptedSearch()
    trained(tale, [0.3, 0.2, 0.1, 0.2])
    first = retention.plan(tale.state)
    for removal in first.removals:
        tale.record("removed", trial=removal.trial, checkpoints=removal.checkpoints, bytes=2000)
    assert first.removals
    assert retention.plan(tale.state).removals == ()
    assert tale.state.checkpoint_bytes == retention.plan(tale.state).kept_bytes == 2000


def test_what_was_promoted_and_what_others_start_from_is_kept():
    tale = ScriptedSearch()
    tale.record("search", keep_checkpoints=1)
    trained(tale, [0.1])
    source = trained(tale, [0.5, 0.4, 0.45, 0.45, 0.45])
    reports = tale.state.trials[source].reports
    assert gone(tale) == {source: [1, 2, 3]}
    event = {"epoch": 1, "sha256": reports[1].sha256}
    tale.record("promoted", trial=source, checkpoint=event)
    assert gone(tale) == {source: [2, 3]}
    tale.trial(warm_start={"weights": "s", "checkpoint": "c", "sha256": reports[3].sha256})
    assert gone(tale) == {source: [2]}


@pytest.mark.parametrize("by_key", [True, False])
def test_the_best_epoch_of_a_trial_whose_weights_are_wished_for_is_kept(by_key):
    tale = ScriptedSearch()
    tale.record("search", keep_checkpoints=1)
    trained(tale, [0.1])
    source = trained(tale, [0.5, 0.4, 0.45, 0.45])
    tale.end(source, "killed", by="user")
    assert gone(tale) == {source: [1, 2, 3, 4]}
    tale.state.begun["first"] = source
    wish = {"config": {}, "origin": "me", "log_entry": "", "axes": {}, "distributions": {}}
    if by_key:
        tale.record("queued", key="k", **wish | {"weights_of": "first"})
    else:
        config = {"warm_start": {"weights": f"story/{source}", "sha256": ""}}
        tale.record("queued", key="k", **wish | {"weights_of": "", "config": config})
    assert gone(tale) == {source: [1, 3, 4]}


def test_what_other_searches_start_from_is_kept():
    tale = ScriptedSearch()
    tale.record("search", keep_checkpoints=1)
    trained(tale, [0.1])
    source = trained(tale, [0.5, 0.4, 0.45, 0.45])
    tale.end(source, "killed", by="user")
    third = frozenset({tale.state.trials[source].reports[3].sha256})
    assert gone(tale, pinned=third) == {source: [1, 2, 4]}
    assert gone(tale, wanted=frozenset({source})) == {source: [1, 3, 4]}
    tale.record("search", disk_gb=1e-9)
    assert gone(tale, pinned=third) == {source: [1, 2, 4]}


def test_damaged_checkpoints_and_those_trained_again_go():
    tale = ScriptedSearch()
    name = trained(tale, [0.4, 0.3, 0.2])
    old = [report.checkpoint for report in tale.state.trials[name].reports.values()]
    tale.crash(name)
    tale.damage(name, 3, from_epoch=2)
    (removal,) = retention.plan(tale.state).removals
    assert removal.checkpoints == (old[2],)
    tale.record("removed", trial=name, checkpoints=list(removal.checkpoints), bytes=removal.bytes)
    tale.segment(name, 9)
    tale.report(name, 3, 0.2)
    assert tale.state.trials[name].resume_point.epoch == 3
    assert old[2] not in str(retention.plan(tale.state).removals)


def test_what_another_search_starts_from_is_kept_also_where_its_epoch_is_trained_again():
    tale = ScriptedSearch()
    name = trained(tale, [0.4, 0.3, 0.2])
    third = tale.state.trials[name].reports[3]
    tale.crash(name)
    tale.damage(name, 2, from_epoch=1)
    assert third in tale.state.trials[name].superseded
    found = retention.plan(tale.state, pinned=frozenset({third.sha256}))
    (removal,) = found.removals
    assert third.checkpoint not in removal.checkpoints
    assert len(removal.checkpoints) == 1
    kept = retention.plan(tale.state).kept_bytes
    assert found.kept_bytes == kept + third.bytes


def test_with_two_objectives_the_whole_front_is_kept():
    tale = ScriptedSearch()
    tale.record("search", keep_checkpoints=1, objectives=["dev_eer", "encoder_parameters"])
    for eer, size in ((0.1, 300), (0.2, 200), (0.3, 100), (0.4, 250)):
        name = tale.trial(encoder_parameters=size)
        tale.segment(name, 9)
        tale.report(name, 1, eer)
        tale.end(name, "killed", by="user")
    assert gone(tale) == {"t0004": [1]}


def test_above_the_bound_less_is_kept_step_by_step_and_running_trials_always_keep_two():
    tale = ScriptedSearch()
    live = trained(tale, [0.1, 0.2, 0.2], size=GB)
    resting = [trained(tale, [0.5, 0.4 - n / 100], to_rung=2, size=GB) for n in range(3)]
    for name in resting:
        assert tale.state.trials[name].state == "paused"

    def bounded(gigabytes):
        tale.record("search", disk_gb=gigabytes)
        return gone(tale)

    assert bounded(None) == {}
    # Nine are there, and one each of the trial under way and of another one are coming.
    assert bounded(11) == {}
    assert bounded(10.5) == {key: [1] for key in resting}
    assert bounded(8) == {key: [1] for key in resting}
    assert bounded(7.5) == {resting[0]: [1, 2], resting[1]: [1], resting[2]: [1]}
    assert bounded(5) == {key: [1, 2] for key in resting}
    assert retention.plan(tale.state).excess == 0
    assert live not in bounded(1)
    assert retention.plan(tale.state).excess == 4 * GB


def test_on_a_full_disk_only_the_newest_of_what_rests_is_kept():
    tale = ScriptedSearch()
    name = trained(tale, [0.5, 0.4, 0.3], to_rung=3)
    assert gone(tale) == {name: [1]}
    assert gone(tale, tight=True) == {name: [1, 2]}
