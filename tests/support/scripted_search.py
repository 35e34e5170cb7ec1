"""A search whose events a test writes one by one, without disk or cluster."""

from datetime import UTC, datetime, timedelta

from search.ledger.state import SearchState
from search.scheduler.asha import find_outcomes
from search.scheduler.policy import AshaPolicy
from spkmodel.config import AdamW, TrainConfig
from tests.support.events import event_of


class ScriptedSearch:
    """The events of a search, a second apart, and the state that they add up to."""

    def __init__(self, rungs=(1, 3, 9), eta=3, rule="promotion", trials=24, hours=None):
        self.events = []
        self.state = SearchState()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.record(
            "search", rungs=list(rungs), eta=eta, rule=rule, trials=trials, hours=hours, seed=0
        )
        self.record("driver", host="here", pid=1, started="0-1")

    @property
    def policy(self):
        return AshaPolicy.from_settings(self.state.search)

    def record(self, event, **fields):
        self.now += timedelta(seconds=1)
        if event == "search" and self.state.settings is not None:
            fields = self.state.search.fields() | fields
        line = event_of(event, time=self.now.isoformat(), search="story", **fields)
        self.events.append(line)
        self.state.apply(line)

    def trial(self, axes=None, distributions=None, config=None, origin="sampler", **more):
        name = f"t{len(self.state.trials) + 1:04d}"
        config = config or TrainConfig(
            optimiser=AdamW(learning_rate=1e-3 * (1 + len(self.state.trials)))
        )
        self.record(
            "trial",
            trial=name,
            config=config.model_dump(mode="json"),
            signature=config.signature,
            origin=origin,
            axes=axes or {},
            distributions=distributions or {},
            **more,
        )
        return name

    def segment(self, trial, to_rung):
        record = self.state.trials[trial]
        self.record(
            "segment",
            trial=trial,
            attempt=record.attempt + 1,
            from_epoch=record.epoch,
            to_rung=to_rung,
        )

    def report(self, trial, epoch, dev_eer, attempt=None, size=1000, seconds=1.0):
        self.record(
            "report",
            trial=trial,
            attempt=attempt or self.state.trials[trial].attempt,
            epoch=epoch,
            metrics={"dev_eer": dev_eer},
            seconds=seconds,
            checkpoint=f"trials/{trial}/e{epoch}-{self.state.trials[trial].attempt}",
            sha256=f"{trial[1:]}{epoch:060d}",
            bytes=size,
        )

    def crash(self, trial, reason="worker died", counts=True, **kind):
        attempt = self.state.trials[trial].attempt
        self.record("crash", trial=trial, attempt=attempt, reason=reason, counts=counts, **kind)

    def end(self, trial, state, reason="", by="rule", **kind):
        rung = self.state.trials[trial].rung
        self.record("end", trial=trial, state=state, reason=reason, by=by, rung=rung, **kind)

    def damage(self, trial, epoch, from_epoch):
        self.record(
            "damaged",
            trial=trial,
            epoch=epoch,
            checkpoint=self.state.trials[trial].reports[epoch].checkpoint,
            reason="a byte was flipped",
            from_epoch=from_epoch,
        )

    def remove(self, trial, *epochs):
        reports = [self.state.trials[trial].reports[epoch] for epoch in epochs]
        names = [report.checkpoint for report in reports]
        size = sum(report.bytes or 0 for report in reports)
        self.record("removed", trial=trial, checkpoints=names, bytes=size)

    def train(self, trial, to_rung, dev_eer):
        """Record a whole segment that ends with this dev EER, and the ends that follow."""
        self.segment(trial, to_rung)
        for epoch in range(self.state.trials[trial].epoch + 1, to_rung + 1):
            self.report(trial, epoch, dev_eer)
        self.record_ends()

    def train_new(self, *values):
        """Train new trials to rung 1, with these dev EERs."""
        for value in values:
            self.train(self.trial(), 1, value)

    def record_ends(self):
        for end in find_outcomes(self.state, self.policy):
            self.end(end.trial, end.state, end.reason, end.by, kind=end.kind)
