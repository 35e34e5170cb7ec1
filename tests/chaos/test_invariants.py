"""Every invariant holds of a sound search, and sees the violation that is planted in it."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from optuna.trial import TrialState, create_trial

from bench.chaos import invariants
from bench.chaos.evidence import read
from search.ledger.formats import from_json
from search.ledger.state import SearchState
from search.sampler.history import SamplerHistory
from tests.support import valid_search


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return valid_search.run_search(tmp_path_factory.mktemp("home"))


def with_events(evidence, events):
    return replace(evidence, events=events)


def index_of(events, kind, number=0, **fields):
    matching = [
        place
        for place, event in enumerate(events)
        if event.event == kind and all(getattr(event, key) == fields[key] for key in fields)
    ]
    return matching[number]


def changed(evidence, place, **fields):
    events = list(evidence.events)
    events[place] = events[place].model_copy(update=fields)
    return with_events(evidence, events)


def without(evidence, *places):
    return with_events(evidence, [e for i, e in enumerate(evidence.events) if i not in places])


def test_a_sound_search_breaks_none_and_is_no_trivial_one(sound):
    assert invariants.violations(sound) == []
    state = sound.state
    assert {trial.state for trial in state.trials.values()} == {"complete", "stopped"}
    assert max(trial.attempt for trial in state.trials.values()) >= 3


def test_a_trial_without_an_end_or_with_two_is_seen(sound):
    place = index_of(sound.events, "end")
    assert "is paused" in invariants.every_trial_ends_once(without(sound, place))[0]
    twice = [*sound.events[:-1], sound.events[place], sound.events[-1]]
    assert "ended twice" in invariants.every_trial_ends_once(with_events(sound, twice))[0]
    assert invariants.every_trial_ends_once(without(sound, len(sound.events) - 1)) == [
        "the search has no finish"
    ]


def test_a_trial_that_the_budget_ended_may_be_ended_by_the_user_and_by_nobody_else(sound):
    place = index_of(sound.events, "end")
    ended = sound.events[place]
    budget = ended.model_copy(update={"by": "budget", "state": "stopped"})
    before, after = sound.events[:place], sound.events[place + 1 :]
    for by, wrong in (("user", False), ("rule", True)):
        second = ended.model_copy(update={"by": by})
        found = with_events(sound, [*before, budget, second, *after])
        assert bool(invariants.every_trial_ends_once(found)) is wrong


def test_two_runs_of_a_trial_none_and_one_too_many_are_seen(sound):
    first, *others = sound.runs
    assert invariants.every_trial_has_one_run(replace(sound, runs=[first, *sound.runs]))
    assert invariants.every_trial_has_one_run(replace(sound, runs=others))
    assert invariants.every_trial_has_one_run(
        replace(sound, runs=[*sound.runs, replace(first, trial="t99")])
    )
    assert (
        "RUNNING"
        in invariants.every_trial_has_one_run(
            replace(sound, runs=[replace(first, status="RUNNING"), *others])
        )[0]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda points: points[1:], "1 points lost, 0 doubled, 0 other"),
        (lambda points: [points[0], *points], "0 points lost, 1 doubled, 0 other"),
        (lambda points: [*points, (99, 0.5)], "0 points lost, 0 doubled, 1 other"),
        (lambda points: [(points[0][0], 0.77), *points[1:]], "1 points lost, 0 doubled, 1 other"),
    ],
)
def test_a_point_that_mlflow_lacks_has_twice_or_made_up_is_seen(sound, change, words):
    first, *others = sound.runs
    history = {**first.history, "dev_eer": change(first.history["dev_eer"])}
    found = replace(sound, runs=[replace(first, history=history), *others])
    assert invariants.history_equals_ledger(found) == [f"{first.trial} dev_eer: {words}"]


def test_a_trial_that_advanced_without_being_among_the_best_is_seen(sound):
    events = list(sound.events)
    place = index_of(events, "segment", from_epoch=1)
    there = SearchState.from_events(events[:place]).trials.values()
    worst = max(there, key=lambda trial: trial.at(1))
    changes = {"trial": worst.trial, "attempt": worst.attempt + 1}
    events[place] = events[place].model_copy(update=changes)
    events = events[: place + 1]
    wrong = invariants.decisions_follow_the_rule(with_events(sound, events))
    assert any(worst.trial in words and "not among" in words for words in wrong)


def test_an_end_that_the_rule_would_not_have_made_is_seen(sound):
    place = index_of(sound.events, "end", state="complete")
    found = changed(sound, index_of(sound.events, "end", by="budget"), by="rule")
    assert any("end" in words for words in invariants.decisions_follow_the_rule(found))
    assert not invariants.decisions_follow_the_rule(without(sound, place))


def test_an_attempt_that_skips_goes_ahead_of_its_checkpoint_or_is_not_alone_is_seen(sound):
    advance = index_of(sound.events, "segment", from_epoch=1)
    assert (
        "the last was 1"
        in invariants.attempts_resume_in_order(changed(sound, advance, from_epoch=2))[0]
    )
    later = index_of(sound.events, "report", epoch=3)
    assert "was due" in invariants.attempts_resume_in_order(changed(sound, later, epoch=4))[0]
    late = invariants.attempts_resume_in_order(changed(sound, later, attempt=1))
    assert any("which was over" in words for words in late)
    attempt = sound.events[advance].attempt
    assert invariants.attempts_resume_in_order(changed(sound, advance, attempt=attempt + 1))


def test_an_epoch_with_two_values_is_seen(sound):
    place = index_of(sound.events, "report")
    again = sound.events[place].model_copy(
        update={"metrics": {"dev_eer": 0.123, "train_loss": 1.0}}
    )
    events = [*sound.events[: place + 1], again, *sound.events[place + 1 :]]
    assert invariants.repeated_epochs_agree(with_events(sound, events))


def test_a_damaged_checkpoint_and_one_of_another_eer_are_seen(tmp_path):
    found = valid_search.run_search(tmp_path, trials=3, max_epochs=3)
    best = found.state.ranked()[0].best()
    wrong = invariants.checkpoints_are_sound(
        replace(found, checkpoint_eer=lambda *_: best.objective + 2e-6)
    )
    assert len(wrong) == 1
    assert "again" in wrong[0]
    weights = found.folder / best.checkpoint / "tensors.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert any("does not load" in words for words in invariants.checkpoints_are_sound(found))
    assert any("SHA-256" in words for words in invariants.checkpoints_are_sound(found))


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda trials: trials[1:], "is told 8 trials, there are 9"),
        (lambda trials: [trials[0], *trials[:-1]], "told a trial twice"),
        (lambda trials: [create_trial(state=TrialState.RUNNING), *trials[1:]], "is told RUNNING"),
    ],
)
def test_a_trial_that_the_sampler_is_told_never_twice_or_as_running_is_seen(
    sound, alter, words, monkeypatch
):
    trials = SamplerHistory.frozen_trials
    monkeypatch.setattr(
        SamplerHistory, "frozen_trials", lambda self, rung: alter(trials(self, rung))
    )
    assert any(words in each for each in invariants.sampler_sees_each_trial_once(sound))


def test_a_sampler_that_did_not_hear_of_an_epoch_is_seen(sound, monkeypatch):
    trials, asked = SamplerHistory.frozen_trials, []

    def without_the_last(self, rung):
        asked.append(self)
        return trials(self, rung)[: len(asked)]

    monkeypatch.setattr(SamplerHistory, "frozen_trials", without_the_last)
    assert any(
        "one that began anew" in each for each in invariants.sampler_sees_each_trial_once(sound)
    )


def test_a_config_that_the_sampler_would_not_have_suggested_is_seen(sound):
    place = index_of(sound.events, "trial", 3)
    found = changed(sound, place, signature="00000000")
    assert invariants.suggestions_repeat(found) == [
        f"{sound.events[place].trial} is not what the sampler suggests at that point"
    ]


def test_a_process_and_a_file_that_are_left_behind_are_seen(tmp_path):
    found = valid_search.run_search(tmp_path, trials=3, max_epochs=3)
    assert invariants.nothing_is_left(found) == []
    (found.folder / ".tune-1").mkdir()
    (found.folder / "trials" / "t0001" / ".epoch0002-2.abcd").mkdir()
    assert len(invariants.nothing_is_left(found)) == 2
    assert invariants.nothing_is_left(replace(found, processes=["12 ray::IDLE"]))


def test_more_trials_epochs_or_hours_than_allowed_are_seen(sound):
    place = index_of(sound.events, "search")
    assert "t0009 is beyond 8 trials" in invariants.budget_is_kept(changed(sound, place, trials=8))
    few = changed(sound, place, rungs=(1, 3))
    assert any("trained 9 epochs" in words for words in invariants.budget_is_kept(few))
    spent = changed(sound, place, hours=1e-9)
    assert any("hours" in words for words in invariants.budget_is_kept(spent))


def test_recorded_events_that_are_gone_are_seen(tmp_path):
    found = valid_search.run_search(tmp_path, trials=3, max_epochs=3)
    ledger = found.folder / "ledger.jsonl"
    before = ledger.read_bytes()
    assert invariants.lost_ledger_bytes(before[:-10], ledger) == [], (
        "a torn last line may be cut off"
    )
    ledger.write_bytes(before[before.index(b"\n") + 1 :])
    assert invariants.lost_ledger_bytes(before, ledger) == ["recorded events are gone"]


def test_what_cannot_be_checked_counts_as_wrong(sound):
    place = index_of(sound.events, "report")
    record = json.loads(sound.events[place].to_line())
    del record["metrics"]
    broken = [*sound.events[:place], from_json(record), *sound.events[place + 1 :]]
    found = with_events(sound, broken)
    assert any("cannot be checked" in words for words in invariants.violations(found))


def test_evidence_is_read_from_the_folder_alone(sound):
    again = read(sound.folder)
    assert again.events == sound.events
    assert again.runs is None


def test_a_process_of_a_round_is_found_when_its_parent_is_gone():
    code = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    )
    program = (
        "import subprocess, sys\n"
        "from bench.chaos import processes\n"
        "with processes.adopting():\n"
        "    watch = processes.ProcessWatch()\n"
        f"    subprocess.run([sys.executable, '-c', {code!r}], check=True)\n"
        "    assert len(watch.left(0.2)) == 1\n"
        "    assert watch.left(0.2) == []\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
