"""A ledger file of a search that never ran, for tests of what reads ledgers."""

import json
from datetime import UTC, datetime, timedelta

from search.ledger.formats import from_json
from tests.support.events import record_of


class LedgerOnDisk:
    """Writes the events of a search that never ran, line by line, as a driver would.

    Its clock starts now and moves by 1.25 s with each event.
    """

    def __init__(self, home, name, space=None):
        self.name = name
        self.space = space or f"space-of-{name}"
        self.path = home / name / "ledger.jsonl"
        self.path.parent.mkdir(parents=True)
        self.clock = datetime.now(UTC)
        self.events = []

    def write(self, event, **fields):
        self.clock += timedelta(seconds=1.25)
        time = self.clock.isoformat(timespec="microseconds")
        earlier = [each.fields() for each in self.events if each.event == event == "search"]
        fields = (earlier[-1] if earlier else {}) | fields
        record = record_of(event, time=time, search=self.name, **fields)
        self.events.append(from_json(record))
        with self.path.open("a", encoding="utf-8") as ledger:
            ledger.write(json.dumps(record) + "\n")

    def begin(self, **changes):
        """Write what a driver writes first; `changes` are settings of the search."""
        settings = {
            "space": self.space,
            "space_sha256": "5" * 64,
            "corpus": "/corpora/voices",
            "corpus_sha256": "c" * 64,
            "seed": 0,
            "dev_condition": "clean",
            "rungs": [1, 3, 9],
            "eta": 3,
            "rule": "promotion",
            "trials": 24,
            "hours": None,
            "max_epochs": 9,
            "concurrent": 2,
            "tracking_uri": "",
        }
        self.write("search", **settings | changes)
        self.write("driver", host="here", pid=1, started="0-1")

    def trial(self, number, encoder_parameters=None, **axes):
        name = f"t{number:04d}"
        self.write(
            "trial",
            trial=name,
            config={"encoder": {"kind": "tdnn"}, "loss": {"kind": axes.get("loss", "softmax")}},
            signature=f"{number:08x}",
            origin="sampler",
            axes=axes,
            distributions={},
            encoder_parameters=encoder_parameters,
        )
        return name

    def segment(self, trial, to_rung, from_epoch=0, attempt=1):
        self.write("segment", trial=trial, attempt=attempt, from_epoch=from_epoch, to_rung=to_rung)

    def report(self, trial, epoch, dev_eer, attempt=1, **more):
        metrics = {
            "dev_eer": dev_eer,
            "dev_eer_low": dev_eer * 0.8,
            "dev_eer_high": dev_eer * 1.2,
            "dev_min_dcf_p01": min(1.0, dev_eer * 4),
            "train_loss": 3 / epoch,
            "learning_rate": 1e-3,
            "utterances_per_second": 410.0,
        }
        self.write(
            "report",
            trial=trial,
            attempt=attempt,
            epoch=epoch,
            metrics=metrics | more,
            seconds=1.0,
            checkpoint=f"trials/{trial}/e{epoch:04d}-{attempt}",
            sha256="a" * 64,
        )

    def end(self, trial, state, rung, reason=""):
        self.write("end", trial=trial, state=state, reason=reason, by="rule", rung=rung)

    def finish(self):
        self.write("finish", reason="the budget of trials is spent", totals={})
