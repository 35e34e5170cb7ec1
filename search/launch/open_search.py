"""Read a search from its ledger, for commands that only print."""

from difflib import get_close_matches
from pathlib import Path

from search.core.errors import EnvironmentSetupError, NotFinished, NotFound
from search.core.lease import find_live_driver
from search.core.paths import existing_ledger, ledger_path
from search.launch import background, launch_record
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.requests.mailbox import identity


def read_state(name: str) -> SearchState:
    """Return the state that the ledger of a search adds up to.

    Raises:
        NotFound: naming the searches there are.
        NotFinished: if nothing is recorded yet.
        SpksearchError: its launch in the background ended before: with the same exit code.
    """
    launched = None if ledger_path(name).is_file() else launch_record.read(name)
    if launched is not None and launched.ended is not None:
        raise launched.ended.problem(f"the launch of search {name!r}, before the search began,")
    if (
        launched is not None
        and launched.kind == "process"
        and background.is_running(launched) is False
    ):
        raise EnvironmentSetupError(
            f"the launch of search {name!r} ({launched.description}) was ended before the search "
            f"began, without a word: killed, or its machine went down; spksearch logs {name}"
        )
    if launched is not None:
        raise NotFinished(
            f"search {name!r} has recorded nothing yet; it was launched in the background by "
            f"{launched.description}: spksearch logs {name}"
        )
    path = existing_ledger(name)
    state = Ledger.open(path).state()
    if state.settings is None:
        raise NotFinished(f"search {name!r} has recorded nothing yet; look again in a moment")
    return state


def describe_status(name: str, state: SearchState) -> str:
    """Return "starting", "running", "finished", or "interrupted": no driver, and no orderly end."""
    driver = find_live_driver(existing_ledger(name).parent)
    if driver is not None:
        is_at_work = identity(driver) == state.driver and state.cluster_loss is None
        return "running" if is_at_work else "starting"
    return "finished" if state.finish else "interrupted"


def find_trial(name: str, state: SearchState, trial: str) -> TrialRecord:
    """Return one trial of a state.

    Raises:
        NotFound: naming the nearest, or how many there are.
    """
    if trial in state.trials:
        return state.trials[trial]
    near = get_close_matches(trial, state.trials, n=1)
    there = f"{len(state.trials)} trials" if state.trials else "no trial yet"
    hint = f"did you mean {near[0]}?" if near else f"there: {there}"
    raise NotFound(f"no trial {trial!r} in search {name!r}: {hint} `spksearch trials {name}`")


def existing_search_folder(name: str) -> Path:
    """Return the folder of a search that exists."""
    return existing_ledger(name).parent
