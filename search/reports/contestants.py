"""What is compared: searches by their best trials, trials, models, folders of evaluations."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.checkpoints.selection import parse_trial, select_checkpoint
from search.core.errors import UsageError
from search.core.paths import existing_ledger, ledger_path, search_folder
from search.ledger.ledger import Ledger
from search.ledger.settings import SearchSettings
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.models import loader
from search.reports.scored_model import ScoredModel, is_scored_folder, read_folder

if TYPE_CHECKING:
    from search.models.loader import Model


@dataclass(frozen=True, eq=False)
class Contestant:
    """One of what is compared, as far as it is known before anything is scored."""

    asked: str
    """As it was asked for."""
    name: str
    config: dict[str, Any] | None
    """Its training's; None where it is not known."""
    axes: dict[str, Any]
    state: SearchState | None = None
    """Of the search that was asked for, or that the trial is of."""
    trial: TrialRecord | None = None
    is_search: bool = False
    model: "Model | None" = None
    scored: ScoredModel | None = None
    """Scores that are there already."""

    @property
    def settings(self) -> SearchSettings | None:
        """Of its search."""
        return None if self.state is None else self.state.search.settings


def find_contestants(asked: list[str], device: str, tracking_uri: str | None) -> list[Contestant]:
    """Return what names stand for; a folder of a promotion stands for each of its conditions.

    Raises:
        NotFound, UsageError, NoUsableTrial: as `loader.load`.
    """
    found: list[Contestant] = []
    for name in asked:
        folder = Path(name)
        if is_scored_folder(folder):
            found += [_from_scores(name, each) for each in read_folder(folder)]
        else:
            found.append(_from_name(name, device, tracking_uri))
    names = [each.name for each in found]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"{repeated} is named twice; compare different things")
    return found


def _from_scores(asked: str, scored: ScoredModel) -> Contestant:
    return Contestant(asked, scored.name, None, {}, scored=scored)


def _from_name(name: str, device: str, tracking_uri: str | None) -> Contestant:
    if parse_trial(name) is None and not Path(name).exists() and _is_search(name):
        state = Ledger.open(existing_ledger(name)).state()
        chosen = select_checkpoint(state, search_folder(name))
        model = loader.read_selected(name, chosen, device)
        return _of_trial(name, f"{name} ({chosen.trial.trial})", state, chosen.trial, model, True)
    model = loader.load(name, device, tracking_uri)
    origin = _state_of(model.search)
    trial = None if origin is None else origin.trials.get(model.trial)
    if origin is not None and trial is not None and parse_trial(name) is not None:
        return _of_trial(name, name, origin, trial, model, False)
    config = None if model.trainer else model.config.model_dump(mode="json")
    axes = {} if trial is None else trial.axes
    return Contestant(name, name, config, axes, origin, trial, model=model)


def _of_trial(
    asked: str, name: str, state: SearchState, trial: TrialRecord, model: "Model", is_search: bool
) -> Contestant:
    return Contestant(asked, name, trial.config, trial.axes, state, trial, is_search, model)


def _is_search(name: str) -> bool:
    try:
        return ledger_path(name).is_file()
    except UsageError:  # no name that a search could have
        return False


def _state_of(search: str) -> SearchState | None:
    path = ledger_path(search) if search else None
    return Ledger.open(path).state() if path is not None and path.is_file() else None
