"""Record each time that test pairs are opened, in the ledger of the model's search.

A figure on test pairs is that of unseen pairs only once: every later evaluation on them says how
often they were opened before.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.errors import NotFinished
from search.core.paths import ledger_path
from search.evaluation.pair_list import PairList
from search.evaluation.protocol import DEFAULT, Protocol
from search.ledger.events import EvaluatedEvent, EvaluatedList
from search.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from search.models.loader import Model

_DEFAULT_LABEL = "default"


@dataclass
class AccessRecord:
    """One access to a list of pairs, to be recorded in the ledger of the model's search."""

    ledger: Ledger | None
    protocol: Protocol = DEFAULT
    before: int = 0
    repeated: bool = False

    def record(self, document: dict[str, Any]) -> None:
        """Append the `evaluated` event, unless the same was recorded before."""
        if self.ledger is not None and not self.repeated:
            model, pairs = document["model"], document["list"]
            self.ledger.append(evaluated_event(model, pairs, [document], self.protocol))


def evaluated_event(
    model: dict[str, Any],
    pairs: dict[str, Any],
    numbers: Sequence[dict[str, Any]],
    protocol: Protocol = DEFAULT,
) -> EvaluatedEvent:
    """Return the event that records an evaluation of a model on a list of pairs."""
    return EvaluatedEvent(
        trial=model["trial"],
        sha256=model["sha256"],
        list=EvaluatedList(**pairs),
        conditions=tuple(each["condition"] for each in numbers),
        protocol=protocol.label() or _DEFAULT_LABEL,
        metrics=run_metrics(numbers, protocol),
    )


def run_metrics(
    numbers: Sequence[dict[str, Any]], protocol: Protocol = DEFAULT
) -> dict[str, float]:
    """Return the figures of an evaluation by the names that they have on the trial's MLflow run.

    Those of another protocol than the default have its label in their names, so that figures which
    must not be compared do not make one chart.
    """
    label = protocol.label()
    metrics: dict[str, float] = {}
    for each in numbers:
        prefix = "test" if each["condition"] == "clean" else f"{each['condition']}_test"
        prefix = f"{prefix}_{label}" if label else prefix
        for name in ("eer", "eer_low", "eer_high", "min_dcf_p01", "min_dcf_p05"):
            if each[name] is not None:  # a bound that too few speakers have
                metrics[f"{prefix}_{name}"] = each[name]
        if each.get("calibration"):
            for name in ("cllr", "min_cllr", "act_dcf_p01", "act_dcf_p05"):
                metrics[f"{prefix}_{name}"] = each["calibration"][name]
    return metrics


@contextmanager
def open_access(
    model: "Model", listed: PairList, condition: str, protocol: Protocol
) -> "Iterator[AccessRecord]":
    """Hold the search's ledger for writing, where the list is the search's test pairs."""
    path = ledger_path(model.search) if model.search else None
    if path is None or listed.split != "test" or not path.is_file():
        yield AccessRecord(None)
        return
    with open_idle_ledger(path, "its test pairs are opened") as ledger:
        pairs, weights = listed.sha256, model.sha256
        before, repeated = count_accesses_before(ledger, pairs, weights, condition, protocol)
        yield AccessRecord(ledger, protocol, before, repeated)


@contextmanager
def open_idle_ledger(path: Path, what: str) -> "Iterator[Ledger]":
    """Open the ledger of a search that does not run, for writing.

    Raises:
        NotFinished: if it runs.
    """
    from search.core.errors import EnvironmentSetupError
    from search.core.lease import find_live_driver

    try:
        ledger = Ledger.open(path, write=True, drives=False)
    except EnvironmentSetupError as error:
        owner = find_live_driver(path.parent)
        if owner is None:
            raise
        name = path.parent.name
        raise NotFinished(
            f"search {name!r} still runs (process {owner.pid} on {owner.host}); {what} once it has "
            f"ended: wait, or `spksearch stop {name}`"
        ) from error
    with ledger:
        yield ledger


def count_accesses_before(
    ledger: Ledger, pairs: str, model: str, condition: str, protocol: Protocol = DEFAULT
) -> tuple[int, bool]:
    """Return how often a search has opened a list before, and whether this access is recorded.

    Args:
        ledger: of the search.
        pairs: the list's SHA-256.
        model: that of the weights.
        condition: what the pairs sound like.
        protocol: how they are scored; another one is another access.
    """
    label = protocol.label() or _DEFAULT_LABEL
    events = [each for each in ledger.state().evaluations if each.list.sha256 == pairs]
    for place, event in enumerate(events):
        same_protocol = event.protocol == label
        if event.sha256 == model and condition in event.conditions and same_protocol:
            return place, True
    return len(events), False


def format_warning(looks: int) -> list[str]:
    """Return a warning if these pairs have been opened before; no line otherwise."""
    if looks == 0:
        return []
    times = "once" if looks == 1 else f"{looks} times"
    return [
        f"these test pairs were looked at {times} before in this search: the figure is no longer "
        "that of unseen pairs"
    ]
