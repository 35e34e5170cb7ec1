"""A ledger written by hand and a real MLflow server, for what is shown in MLflow."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from search import mlflow_server as servers


class FakeSearch:
    """A ledger on disk without a search behind it; its clock starts now and ticks with events."""

    def __init__(self, folder, name):
        self.name = name
        self.space = f"space-of-{name}"
        self.path = folder / name / "ledger.jsonl"
        self.events = []
        self.clock = datetime.now(UTC)

    def write(self, event, **fields):
        self.clock += timedelta(seconds=1)
        time = self.clock.isoformat(timespec="microseconds")
        line = {"event": event, "time": time, "search": self.name, **fields}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as ledger:
            ledger.write(json.dumps(line) + "\n")
        self.events.append(line)

    def begin(self, **changes):
        settings = {
            "space": self.space,
            "corpus_sha256": "0" * 64,
            "seed": 0,
            "dev_condition": "clean",
            "rungs": [1, 3, 9],
            "eta": 3,
            "rule": "promotion",
            "trials": 24,
            "hours": None,
            "max_epochs": 9,
            "concurrent": 2,
        }
        self.write("search", **(settings | changes))
        self.write("driver", host="here", pid=1, started="0-1")

    def trial(self, number, **axes):
        name = f"t{number:04d}"
        self.write(
            "trial",
            trial=name,
            config={"encoder": {"kind": "tdnn"}, "loss": {"kind": axes.get("loss", "softmax")}},
            signature=f"{number:08x}",
            origin="sampler",
            axes=axes,
            distributions={},
        )
        return name

    def segment(self, trial, to_rung, from_epoch=0, attempt=1):
        self.write("segment", trial=trial, attempt=attempt, from_epoch=from_epoch, to_rung=to_rung)

    def report(self, trial, epoch, dev_eer, attempt=1):
        self.write(
            "report",
            trial=trial,
            attempt=attempt,
            epoch=epoch,
            metrics={"dev_eer": dev_eer, "train_loss": 3.0 / epoch},
            seconds=1.0,
            checkpoint=f"trials/{trial}/e{epoch:04d}-{attempt}",
            sha256="0" * 64,
        )

    def end(self, trial, state, rung, reason=""):
        self.write("end", trial=trial, state=state, reason=reason, by="rule", rung=rung)

    def finish(self):
        self.write("finish", reason="all trials tried", totals={})


@pytest.fixture
def fake_search(tmp_path):
    """Makes a `FakeSearch` of a name."""
    return lambda name: FakeSearch(tmp_path, name)


@pytest.fixture(scope="session")
def mlflow_server_home(tmp_path_factory):
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="session")
def mlflow_server(mlflow_server_home):
    """One server for the whole run; a test that kills it revives it."""
    server = servers.start(mlflow_server_home)
    server.wait_ready()
    yield server
    server.stop()
