"""The events of three trials, for tests of output: t0002 is best, t0003 failed, t0001 runs."""

from pathlib import Path
from typing import Any

from search.ledger.event import Event
from spkmodel.config import TDNN, TrainConfig
from tests.support.events import event_of

START = 1_790_000_000.0
"""Unix time of the first event: 2026-09-21T14:13:20 UTC."""


def clock(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(START + seconds, UTC).isoformat(timespec="microseconds")


def event(kind: str, moment: float, /, **fields: Any) -> Event:
    return event_of(kind, time=clock(moment), search="night", **fields)


def search_event(**changes: Any) -> Event:
    settings = {
        "space": "quickstart",
        "space_sha256": "0" * 64,
        "corpus": "/data/speech",
        "corpus_sha256": "1" * 64,
        "store": "/data/store",
        "seed": 0,
        "dev_condition": "clean",
        "noise": "",
        "rooms": "",
        "rule": "promotion",
        "eta": 3,
        "rungs": [1, 3, 9],
        "trials": 9,
        "hours": None,
        "max_epochs": 9,
        "concurrent": 2,
        "cpus_per_trial": 1,
        "gpus_per_trial": None,
        "tracking_uri": "",
    }
    return event("search", 0, **(settings | changes))


def trial_event(trial: str, seconds: float, channels: int, **axes: Any) -> Event:
    config = TrainConfig(encoder=TDNN(channels=channels))
    return event(
        "trial",
        seconds,
        trial=trial,
        config=config.model_dump(mode="json"),
        axes={"channels": channels, **axes},
        distributions={},
        signature=config.signature,
        origin="sampler",
    )


def segment(trial: str, seconds: float, to_rung: int, from_epoch: int = 0) -> Event:
    return event("segment", seconds, trial=trial, attempt=1, from_epoch=from_epoch, to_rung=to_rung)


def report(trial: str, seconds: float, epoch: int, dev_eer: float) -> Event:
    metrics = {
        "dev_eer": dev_eer,
        "dev_eer_low": dev_eer - 0.02,
        "dev_eer_high": dev_eer + 0.03,
        "train_loss": 2.0 / epoch,
    }
    return event(
        "report",
        seconds,
        trial=trial,
        attempt=1,
        epoch=epoch,
        metrics=metrics,
        seconds=9.5,
        checkpoint=f"trials/{trial}/epoch-{epoch}",
        sha256=f"{epoch:064x}",
    )


def events() -> list[Event]:
    return [
        search_event(),
        event("driver", 0, host="elsewhere", pid=1, started="x"),
        trial_event("t0001", 1, 96, loss="softmax"),
        segment("t0001", 1, 1),
        trial_event("t0002", 2, 64, loss="aam_softmax", aam_margin_rad=0.213456),
        segment("t0002", 2, 1),
        report("t0001", 20, 1, 0.31),
        report("t0002", 30, 1, 0.25),
        segment("t0002", 31, 3, from_epoch=1),
        trial_event("t0003", 32, 128, loss="softmax"),
        segment("t0003", 32, 1),
        event(
            "end",
            40,
            trial="t0003",
            state="failed",
            reason="diverged: loss is nan",
            rung=0,
            by="failure",
        ),
        report("t0002", 50, 2, 0.2),
        report("t0002", 60, 3, 0.2234),
        event("end", 61, trial="t0002", state="complete", reason="last rung", rung=3, by="rule"),
        segment("t0001", 62, 3, from_epoch=1),
    ]


def write(home: Path, some: list[Event] | None = None) -> Path:
    """Write the ledger, of the search `night` in a home folder."""
    path = home / "night" / "ledger.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(each.to_line() + "\n" for each in some or events()))
    return path
