"""Load a notebook, and append a finished trial to it as an entry."""

from pathlib import Path

from search.core.errors import NotFinished, NotFound, UsageError
from search.launch.open_search import find_trial, read_state
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.reporting.formatting import format_interval, format_percent
from search.reporting.snapshot import ENDED, read_dev_eer
from spaces import logged
from spaces.logged import Entry, Notebook
from spaces.logged.delta import Delta
from spaces.logged.writing import append_entry, find_config_delta, next_number
from spkmodel.config import TrainConfig
from spkmodel.core.shell import quote_path


def load_notebook(file: Path | None) -> Notebook:
    """Return the log, or the notebook of a file.

    Raises:
        NotFound: there is no such file.
    """
    if file is None:
        return logged.load_log()
    if not file.is_file():
        raise NotFound(
            f"no notebook {file}; `spksearch notebook init {quote_path(file)}` begins one"
        )
    return logged.open_notebook(file)


def add_trial(
    file: Path,
    name: str,
    *,
    change: str | None,
    finding: str,
    based_on: str | None,
    mark: str,
    kept: bool,
) -> Entry:
    """Append a finished trial to the notebook of a file.

    Raises:
        NotFound: there is no such notebook, search or trial.
        NotFinished: the trial has not ended, or has no result.
        UsageError: `name` is not SEARCH/TRIAL, or nothing differs from the basis.
    """
    notebook = load_notebook(file)
    search, slash, trial = name.partition("/")
    if not slash:
        raise UsageError(f"--from-trial takes SEARCH/TRIAL, such as triplet/t0007, got {name!r}")
    state = read_state(search)
    record = find_trial(search, state, trial)
    evidence = _evidence(state, record)
    basis = notebook.entry(based_on) if based_on else _last_kept(notebook)
    delta = find_config_delta(basis, TrainConfig.model_validate(record.config))
    if basis is not None and not delta:
        raise UsageError(f"{name} has the config of entry {basis.number}: nothing to write down")
    fields = {
        "number": next_number(notebook),
        "based_on": basis.number if basis else "",
        "change": change or describe_delta(delta),
        "finding": finding,
        "mark": mark,
        "kept": kept,
        "evidence": evidence,
        "delta": delta,
    }
    required = ("number", "change", "kept")
    given = {key: value for key, value in fields.items() if key in required or value != ""}
    return append_entry(notebook, given)


def _last_kept(notebook: Notebook) -> Entry | None:
    return next((entry for entry in reversed(notebook.entries) if entry.kept), None)


def _evidence(state: SearchState, record: TrialRecord) -> str:
    """Return the trial and its result, in words.

    Raises:
        NotFinished: the trial has not ended, or has no result.
    """
    search = state.search.search
    best = record.best()
    if record.state not in ENDED or best is None:
        why = "has no result" if record.state in ENDED else "has not ended yet"
        raise NotFinished(f"trial {search}/{record.trial} {why} ({record.state})")
    eer, low, high = read_dev_eer(best)
    span = f" ({format_interval(low, high)})" if low is not None else ""
    return (
        f"{search}/{record.trial}, signature {record.signature}: "
        f"dev EER {format_percent(eer)}{span} at epoch {best.epoch}, "
        f"{state.search.dev_condition} pairs of corpus {state.search.corpus_sha256[:8]}"
    )


def describe_delta(delta: Delta) -> str:
    """Return a delta as text, for an entry whose change was not described."""
    from search.notebook.tables import format_value

    return (
        "; ".join(f"{path} {format_value(value)}" for path, value in delta.items()) or "the default"
    )
