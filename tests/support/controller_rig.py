"""The real controller of a search, without Ray: a test plays what its trainings report."""

from search.checkpoints.folders import listed
from search.engine.controller import SearchController
from search.ledger.ledger import Ledger
from search.scheduler.policy import AshaPolicy
from search.space import loader
from spkmodel.worker.results import EpochReport, SavedCheckpoint, StorageRefused, TrainingFailed
from tests.support.events import append

SPACE = '''"""How fast?"""
from spkmodel.config import AdamW, TrainConfig
def space(trial):
    return TrainConfig(optimiser=AdamW(learning_rate=trial.suggest_categorical("rate", {rates})))
'''


class ControllerRig:
    """Drives a search whose trainings are played by the test, on a ledger of its own.

    `report_epoch`, `fail` and `refuse` hand the controller what a worker would send.
    """

    def __init__(self, folder, trials=4, hours=None, rates=(1e-3, 2e-3, 3e-3, 4e-3, 5e-3)):
        self.clock = 100.0
        folder.mkdir(exist_ok=True)
        (folder / "made.py").write_text(SPACE.replace("{rates}", str(list(rates))))
        self.folder = folder
        self.ledger = Ledger.open(folder / "ledger.jsonl", write=True)
        self.state = self.ledger.state()
        if self.state.settings is None:
            fields = {"rungs": [1, 3], "max_epochs": 3, "trials": trials, "hours": hours}
            event = append(self.ledger, "search", space="made", **fields)
            self.state.apply(event)
        self.driver = SearchController(
            self.ledger,
            self.state,
            loader.load(str(folder / "made.py")),
            AshaPolicy.from_settings(self.state.search),
            lambda _, attempt, to_rung: {"attempt": attempt, "to_rung": to_rung},
            seed=0,
            strategy="tpe",
            clock=lambda: self.clock,
        )
        self.driver.begin()

    def reports(self):
        return self.events("report")

    def events(self, kind):
        return [event for event in self.ledger.events() if event.event == kind]

    def change(self, **settings):
        """Change settings of the state without an event in the ledger."""
        self.state.settings = self.state.search.model_copy(update=settings)

    def report_epoch(self, trial, attempt=1, epoch=1, dev_eer=0.3, sha256="", **metrics):
        """Hand the controller the result of an epoch."""
        metrics = {"dev_eer": dev_eer} | metrics
        saved = self.saved(trial, attempt, epoch, sha256)
        return self.driver.on_result(EpochReport(trial, attempt, epoch, metrics, 1.0, saved))

    def fail(self, trial, attempt=1, epoch=1, reason="diverged: loss is nan"):
        return self.driver.on_result(TrainingFailed(trial, attempt, epoch, reason))

    def refuse(self, trial, attempt, number):
        """Hand the controller a checkpoint that the storage refused."""
        return self.driver.on_result(StorageRefused(trial, attempt, number))

    def saved(self, trial, attempt, epoch, sha256=""):
        place = self.folder / "trials" / trial / f"e{epoch}-{attempt}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "state.json").write_text("0123456789")
        return SavedCheckpoint(str(place), sha256, 10)


class ManualClockRig(ControllerRig):
    """The same with a clock that only the test moves, and its checkpoints as they are on disk."""

    def restarted(self):
        """Return another driver on the same ledger, as if this one had died."""
        self.ledger.close()
        return ManualClockRig(self.folder, trials=2)

    def pass_time(self, seconds=10.0):
        self.clock += seconds
        self.driver.poll()

    def train(self, trial, *epochs, attempt=1):
        for epoch in epochs:
            self.report_epoch(trial, attempt=attempt, epoch=epoch)

    def checkpoint_folder(self, trial, epoch):
        return self.folder / self.state.trials[trial].reports[epoch].checkpoint

    def checkpoints_on_disk(self):
        self.driver._checkpoints.drain()
        return sorted(listed(self.folder))
