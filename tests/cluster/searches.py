"""Launch searches on the hosts' shared storage, and check what must hold of every one."""

from collections import Counter
from datetime import datetime
from functools import cached_property
from pathlib import Path

from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.scheduler import audit
from search.scheduler.rung_queries import rung_results
from spkmodel.core import checkpoint
from spkmodel.data.demo.corpus import make_demo_corpus
from tests.cluster import ray_hosts
from tests.cluster.hosts import Host
from tests.cluster.programs import Program, wait_for

SPACE = '''"""How wide a network, and how fast should it learn? Epochs of about {seconds}."""

from spkmodel.config import TDNN, AdamW, Augment, Batches, TrainConfig


def space(trial):
    """Two axes."""
    return TrainConfig(
        encoder=TDNN(
            channels=trial.suggest_categorical("channels", {channels}),
            dilations=(2, 3),
            embedding_dim=32,
        ),
        batches=Batches(speakers=8, utterances=2, crop_seconds=1.0),
        augment=Augment(noise_probability=0.5),
        optimiser=AdamW(learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)),
    )
'''


class Search:
    """One search, read from its ledger, whichever host drives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name

    def events(self, *kinds: str) -> list[dict]:
        path = self.folder / "ledger.jsonl"
        events = Ledger.open(path).events() if path.is_file() else ()
        return [event for event in events if not kinds or event.event in kinds]

    def state(self) -> SearchState:
        return Ledger.open(self.folder / "ledger.jsonl").state()

    def reports(self) -> int:
        return len(self.events("report"))

    def wait_reports(self, count: int, driver: Program, seconds: float = 120) -> None:
        """Wait until the ledger has so many epochs."""
        wait_for(
            lambda: self.reports() >= count or not driver.running,
            seconds,
            f"{count} epochs of {self.name}",
        )
        assert self.reports() >= count, driver.tail()

    def curves(self) -> dict[str, dict[int, tuple[float, float]]]:
        """Return dev EER and training loss by epoch, by the config's signature."""
        return {
            trial.signature: {
                epoch: (report.metrics["dev_eer"], report.metrics["train_loss"])
                for epoch, report in trial.reports.items()
            }
            for trial in self.state().trials.values()
        }

    def assert_sound(self) -> SearchState:
        """Assert that no epoch is missing or doubled, decisions hold, checkpoints are intact."""
        events = self.events()
        state = SearchState.from_events(events)
        written = Counter((e.trial, e.epoch) for e in events if e.event == "report")
        assert set(written.values()) <= {1}
        assert (state.refused, state.repeated) == (0, 0)
        for trial in state.trials.values():
            assert sorted(trial.reports) == list(range(1, trial.epoch + 1))
            if trial.last is not None and trial.last.checkpoint not in trial.removed:
                checkpoint.read(self.folder / trial.last.checkpoint, trial.last.sha256)
        assert audit.find_wrong_decisions(events) == []
        assert audit.recompute_rungs(events) == {
            rung: rung_results(state, rung) for rung in state.rungs
        }
        assert not list(self.folder.glob(".tune-*"))
        return state


class Storage:
    """The folder that all hosts share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.home = folder / "home"

    @cached_property
    def token(self) -> Path:
        return ray_hosts.write_token(self.folder / "token")

    @cached_property
    def corpus(self) -> Path:
        """The built-in corpus."""
        return make_demo_corpus(self.folder / "corpus")

    @cached_property
    def quick_space(self) -> Path:
        """Return a space with epochs of a third of a second."""
        return self._space("quick", [8, 16, 24], "a third of a second")

    @cached_property
    def slow_space(self) -> Path:
        """Return a space with epochs long enough to be interrupted."""
        return self._space("slow", [64, 80], "a second or two")

    def _space(self, name: str, channels: list[int], seconds: str) -> Path:
        path = self.folder / f"{name}.py"
        path.write_text(SPACE.format(channels=channels, seconds=seconds))
        return path

    def search(self, name: str) -> Search:
        return Search(self.home / name)

    def launch(self, space: Path, name: str, **options: object) -> list[str]:
        """Return the command that starts a search and resumes it."""
        flags = [f"--{flag.replace('_', '-')}={value}" for flag, value in options.items()]
        return [
            *("python", "-m", "search", "launch", str(space), "--corpus", str(self.corpus)),
            *("--name", name, *flags),
        ]


def seconds_between(earlier: str | float, later: str | float) -> float:
    """Return the seconds between two events, or moments of the machine's clock."""
    moments = [
        datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else moment
        for moment in (earlier, later)
    ]
    return round(moments[1] - moments[0], 1)


def drive(host: Host, command: list[str], log: str = "launch") -> Program:
    """Start a search's driver on a host."""
    return host.start(*command, log=log)
