"""A search without a fault and without Ray: the real controller, a toy trained in this process."""

from dataclasses import replace
from pathlib import Path

import torch

from bench.chaos.evidence import Evidence, Run, read, recorded
from bench.chaos.toy import training
from search.engine.controller import SearchController
from search.ledger.ledger import Ledger
from search.scheduler.policy import AshaPolicy, ladder
from search.space import loader
from spkmodel.core import checkpoint
from spkmodel.worker.results import EpochReport, SavedCheckpoint
from tests.support.events import append

STATUS = {"complete": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}


def run_search(home: Path, trials: int = 9, max_epochs: int = 9) -> Evidence:
    """Run a search to its end; return it as evidence, with runs in MLflow made from the ledger."""
    source = home / "chaos_space.py"
    source.write_text(training.space())
    space = loader.load(str(source))
    folder = home / "sound"
    with Ledger.open(folder / "ledger.jsonl", write=True) as ledger:
        append(
            ledger,
            "search",
            space=str(source),
            seed=0,
            eta=3,
            rule="promotion",
            hours=None,
            trials=trials,
            max_epochs=max_epochs,
            rungs=list(ladder(max_epochs)),
        )
        state = ledger.state()
        driver = SearchController(
            ledger, state, space, AshaPolicy.from_settings(state.search), _settings, 0, "tpe"
        )
        driver.begin()
        while not isinstance(segment := driver.next_segment(), str):
            _train(driver, folder, *segment)
        driver.finish()
    found = read(folder, checkpoint_eer=training.checkpoint_eer, space=space)
    return replace(found, runs=expected_runs(found))


def expected_runs(found: Evidence) -> list[Run]:
    """Return what MLflow should have."""
    histories = {name: recorded(found.events, name) for name in ("dev_eer", "train_loss")}
    return [
        Run(
            trial.trial,
            f"run-{trial.trial}",
            STATUS[trial.state],
            {},
            {name: list(history[trial.trial]) for name, history in histories.items()},
        )
        for trial in found.state.trials.values()
    ]


def _settings(trial, attempt, to_rung):
    return {"attempt": attempt, "to_rung": to_rung, "epoch": trial.epoch}


def _train(driver, folder, trial, segment):
    weights = torch.linspace(0.2, 0.8, 4, dtype=torch.float64)
    rate = trial.config["optimiser"]["learning_rate"]
    for epoch in range(1, segment["to_rung"] + 1):
        weights = training.trained(weights, rate)
        if epoch > segment["epoch"]:
            place = folder / "trials" / trial.trial / f"epoch{epoch:04d}-{segment['attempt']}"
            saved = SavedCheckpoint(
                str(place), checkpoint.write(place, {"weights": weights}, {"epoch": epoch})
            )
            metrics = {"dev_eer": training.dev_eer(weights), "train_loss": 1 / epoch}
            result = EpochReport(trial.trial, segment["attempt"], epoch, metrics, 0.1, saved)
            if driver.on_result(result):
                return
