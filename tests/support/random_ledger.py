"""Random ledgers for property tests; not every sequence of events could really happen."""

import math

from hypothesis import strategies as st

from search.ledger.kinds import SIZE
from tests.support.scripted_search import ScriptedSearch

RUNGS = ([1, 3, 9], [1, 2, 4], [2, 6], [3])


class RandomLedger:
    """Adds one random event after the other to a `ScriptedSearch`, drawn by hypothesis."""

    def __init__(self, draw, kind, objectives):
        self.draw = draw
        self.tale = ScriptedSearch(rule=kind, trials=4)
        self.tale.record("search", objectives=objectives)

    def any_trial(self):
        return self.draw(st.sampled_from(sorted(self.tale.state.trials)))

    def add_event(self):
        known = bool(self.tale.state.trials)
        kinds = ["trial", "search", "driver", "unknown", "queue", "stop_all", "record_ends"]
        kinds += ["hold", "budget", "exhausted", "finish"]
        kinds += (
            ["segment", "report", "report", "crash", "fail", "stop", "odd", "damage", "remove"]
            if known
            else []
        )
        getattr(self, f"_{self.draw(st.sampled_from(kinds))}")()

    def _trial(self):
        size = self.draw(st.sampled_from([None, 100, 200, 300]))
        self.tale.trial(**self.idea(), **{SIZE: size})

    def idea(self):
        """Return what a new trial is made of; a subclass may draw it."""
        return {}

    def _segment(self):
        trial = self.any_trial()
        self.tale.segment(trial, self.draw(st.sampled_from(self.tale.policy.rungs)))

    def _report(self):
        trial = self.any_trial()
        value = self.draw(st.sampled_from([0.1, 0.2, 0.2, 0.3, math.nan, math.inf]))
        self.tale.report(trial, self.tale.state.trials[trial].epoch + 1, value)

    def _damage(self):
        trial = self.tale.state.trials[self.any_trial()]
        if trial.reports:
            last = self.draw(st.integers(0, trial.epoch))
            self.tale.damage(trial.trial, trial.epoch, from_epoch=last)

    def _crash(self):
        kinds = ["crash", "out_of_memory", "hang", "lost_node", "preempted", "driver", "stopped"]
        kind = self.draw(st.sampled_from(kinds))
        self.tale.crash(self.any_trial(), counts=self.draw(st.booleans()), kind=kind)

    def _fail(self):
        state = self.draw(st.sampled_from(["failed", "killed", "stopped", "complete"]))
        by = self.draw(st.sampled_from(["rule", "budget", "user", "failure"]))
        self.tale.end(self.any_trial(), state, "made up", by)

    def _stop(self):
        self.tale.record("stop", trial=self.any_trial(), now=False, by="somebody")

    def _stop_all(self):
        self.tale.record("stop", trial=None, now=False, by="somebody")

    def _search(self):
        rungs = self.draw(st.sampled_from(RUNGS))
        most = self.draw(st.sampled_from([None, 1]))
        trials = self.draw(st.integers(2, 12))
        self.tale.record("search", rungs=rungs, trials=trials, max_failed=most)

    def _budget(self):
        self.tale.record("search", concurrent=self.draw(st.integers(1, 4)))

    def _hold(self):
        held = self.tale.state.holds
        self.tale.record("release" if held else "hold", cause="user", reason="paused", by="anna")

    def _exhausted(self):
        self.tale.record("exhausted", trials=len(self.tale.state.trials))

    def _finish(self):
        self.tale.record("finish", reason="all trials tried", totals={})

    def _remove(self):
        trial = self.tale.state.trials[self.any_trial()]
        if trial.reports:
            self.tale.remove(trial.trial, min(trial.reports))

    def _driver(self):
        self.tale.record("driver", host="here", pid=1, started="0-1")

    def _unknown(self):
        self.tale.record("later_version", of="nothing")

    def _odd(self):
        self.tale.record("later_version", trial=self.any_trial())

    def _queue(self):
        key = self.draw(st.sampled_from("abc"))
        queued = {"config": {}, "origin": "somebody", "log_entry": "", "weights_of": ""}
        self.tale.record("queued", key=key, **queued, axes={}, distributions={})

    def _record_ends(self):
        self.tale.record_ends()
