"""Launch a search, and read one: its trials as a table, its best one, and how to stop it."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from search.inference.speaker_model import SpeakerModel
    from search.ledger.state import SearchState


class Search:
    """One search, by its name; every question reads its ledger anew."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._state()  # an unknown name is an error here, not at the first question

    def __repr__(self) -> str:
        return f"Search({self.name!r}, {self.status})"

    @property
    def status(self) -> str:
        """`running`, `starting`, `finished` or `interrupted`."""
        from search.launch.open_search import describe_status

        return describe_status(self.name, self._state())

    def trials(self) -> "pd.DataFrame":
        """Return a row for each trial, the best first.

        The columns: trial, state, reason, epochs, rung, signature, origin; of its best epoch
        `dev_eer` with its interval and the other metrics (fractions; NaN without a result); and
        each parameter of the space by its name, `axis.NAME`.
        """
        import pandas as pd

        from search.launch.open_search import describe_status
        from search.reporting.documents import trial_document
        from search.reporting.trial_tables import sort_trials

        state = self._state()
        status = describe_status(self.name, state)
        rows = []
        for trial in sort_trials(state, "dev_eer"):
            told = trial_document(trial, status)
            best = told["best"] or {"metrics": {}, "epoch": None}
            row = {key: told[key] for key in ("trial", "state", "reason", "epochs", "rung")}
            row |= {"signature": told["signature"], "origin": trial.origin}
            row |= {"best_epoch": best["epoch"], **best["metrics"]}
            rows.append(row | {f"axis.{name}": value for name, value in trial.axes.items()})
        columns = ["trial", "state", "reason", "epochs", "rung", "signature", "origin"]
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*columns, "dev_eer"])

    @property
    def best(self) -> str | None:
        """The trial with the lowest dev EER, by name; None while there is no result."""
        ranked = self._state().ranked()
        return ranked[0].trial if ranked else None

    def load(self, trial: str | None = None, device: str = "auto") -> "SpeakerModel":
        """Return a trial's best kept checkpoint as a model; by default of the best trial.

        Raises:
            UsageError: there is no result yet.
        """
        from search.inference.open_model import load_model

        name = trial or self.best
        if name is None:
            raise UsageError(f"search {self.name!r} has no result yet")
        return load_model(f"{self.name}/{name}", device)

    def stop(self, trial: str | None = None, now: bool = False) -> str:
        """Ask the search, or one of its trials, to stop; see `spksearch stop`.

        Returns `done` where the running search has taken the request, `asked` where it has not
        answered yet, `recorded` where it does not run.
        """
        from search.engine.request_handler import ask
        from search.requests.messages import Stop, who

        return ask(self.name, Stop(by=who(), trial=trial, now=now))

    def _state(self) -> "SearchState":
        from search.launch.open_search import read_state

        return read_state(self.name)


def open_search(name: str) -> Search:
    """Return the search of a name.

    Raises:
        NotFound: naming the searches there are.
        NotFinished: nothing is recorded of it yet.
    """
    return Search(name)


def launch(space: str, corpus: str | Path, name: str | None = None, **options: Any) -> Search:
    """Start a search, or resume the one of that name, and return when it has ended.

    Args:
        space: a space's name, or the path of its file.
        corpus: a folder, or a URI where `spksearch corpus pack --to` has put it.
        name: of the search; by default the space's.
        options: as for `spksearch launch`, with underscores: `trials=24`, `max_epochs=9`,
            `dev_condition="mismatched"`.

    Raises:
        UsageError: space, corpus or an option is wrong, or the name is another search's.
        EnvironmentSetupError: the cluster, the storage or the lock is in the way.
        NoUsableTrial: the search ended and no trial is worth anything.
    """
    from search.data.location import parse_location
    from search.launch.launch import launch as launch_search
    from search.launch.settings import LaunchRequest
    from search.reporting.terminal import stderr_display

    known = {field.name for field in fields(LaunchRequest)} - {"space", "corpus", "name"}
    if unknown := sorted(options.keys() - known):
        raise UsageError(
            f"launch has no option {unknown[0]!r}; it takes {', '.join(sorted(known))}"
        )
    options |= {key: Path(options[key]) for key in ("noise", "rooms") if options.get(key)}
    request = LaunchRequest(
        space=str(space), corpus=parse_location(str(corpus)), name=name, **options
    )
    outcome = launch_search(request, stderr_display())
    if outcome.problem is not None:
        raise outcome.problem
    return Search(name or Path(str(space)).stem)
