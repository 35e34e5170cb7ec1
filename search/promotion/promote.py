"""Promote the best checkpoint of a search: verify it, evaluate it on the test pairs, register it.

The order makes an interrupted promotion safe: the folder appears in one step, then the access to
the test pairs is recorded, then the version is registered; another call completes what is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.checkpoints import manager, selection
from search.core.atomic_folder import read_report
from search.core.errors import GateNotMet, NoUsableTrial, UsageError
from search.core.paths import existing_ledger, search_folder
from search.core.progress import Display, Silent
from search.evaluation import access_record, pair_evaluation, pair_list, search_stores
from search.evaluation.evaluate import choose_device
from search.ledger.ledger import Ledger
from search.models import mlflow_client, model_files, registry
from search.models.registry import RegisteredVersion
from search.promotion import bundle, registration, winner_luck
from search.promotion.registration import Registration
from search.promotion.winner_luck import Contender
from search.reporting.formatting import format_percent
from search.reporting.snapshot import format_resume_command

if TYPE_CHECKING:
    from search.checkpoints.selection import SelectedCheckpoint


@dataclass(frozen=True)
class PromotionReport:
    """A promoted model: its folder, its version in the registry, and its figures."""

    document: dict[str, Any]
    """The content of `report.json`."""
    folder: Path
    registration: Registration
    again: bool
    """Whether it had been promoted before, so that nothing was computed now."""

    @property
    def registered(self) -> RegisteredVersion:
        """Its version in the registry."""
        return self.registration.registered

    @property
    def problem(self) -> GateNotMet | None:
        """Why the alias was not moved; None if it was."""
        problem = self.registration.problem
        if not problem:
            return None
        alias, uri = self.registration.move.alias, self.registered.exact_uri
        return GateNotMet(f"alias {alias!r} stays where it is: {problem}; the model is {uri}")

    def as_json(self) -> dict[str, Any]:
        """Return everything as a JSON document."""
        return {
            **self.document,
            "folder": str(self.folder),
            **self.registration.as_json(),
            "again": self.again,
        }


def promote(
    name: str,
    *,
    trial: str | None = None,
    model: str | None = None,
    alias: str | None = None,
    if_better_than: str | None = None,
    force: bool = False,
    contenders: Sequence[Contender] = (),
    tracking_uri: str | None = None,
    display: Display | None = None,
) -> PromotionReport:
    """Verify, evaluate and register a trial's checkpoint; a second call only moves the alias.

    Args:
        name: the search; it must not be running.
        trial: one of its trials; by default the best, see `selection.select_checkpoint`.
        model: the registered model's name; by default `spksearch-<search>`.
        alias: to be given to the version; by default that of the gate, else `candidate`.
        if_better_than: an alias; the alias is moved only if the new model is shown to be better
            than the version that this one points to.
        force: move the alias even from a version of another corpus.
        contenders: configs trained again, of which the likeliest's median seed is promoted.
        tracking_uri: of the registry; see `mlflow_client.connect_mlflow`.
        display: shows the progress of long work.

    Raises:
        UsageError: the name or the alias is one that MLflow refuses.
        NotFound: no such search or trial.
        NotFinished: the search still runs.
        NoUsableTrial: nothing to promote.
        GateNotMet: the alias points to a version of another corpus; nothing was computed.
        SpksearchError: the checkpoint is not what the ledger says.
        EnvironmentSetupError: the tracking server does not answer; what was computed is kept.
    """
    path = existing_ledger(name)
    model = f"spksearch-{name}" if model is None else model
    named = [each for each in (alias, if_better_than) if each is not None] or ["candidate"]
    # What MLflow would refuse at the end is refused before the test pairs are opened.
    for each in named:
        registry.check_names(model, each)
    display = display or Silent()
    with access_record.open_idle_ledger(path, "it can be promoted") as ledger:
        luck = _measure_contenders(ledger, contenders, display)
        choice = _select_intact_checkpoint(ledger, luck["chosen"] if luck else trial, display)
        search = ledger.state().search
        with mlflow_client.connect_mlflow(tracking_uri, search.tracking_uri) as client:
            move = registration.plan_move(
                client, model, named[0], if_better_than, search.corpus_sha256, force=force
            )
            folder = _bundle_folder(name, choice)
            document = _read_earlier_report(folder, choice)
            if not (again := document is not None):
                luck = luck or _measure_finalists(ledger, choice, display)
                document = bundle.build_bundle(ledger, choice, folder, luck, display)
            model_files.add_mlflow_model(folder)  # one of an earlier version has none
            _record_test_access(ledger, document)
            store = partial(search_stores.open_store, search, display)
            done, document = registration.register(ledger, client, document, folder, move, store)
    return PromotionReport(document, folder, done, again and not done.registered.created)


def format_summary(report: PromotionReport) -> list[str]:
    """Return the report for people, by line."""
    document, dev = report.document, report.document["dev"]
    model = document["model"]
    lines = [
        f"{document['search']}/{document['trial']}, epoch {document['epoch']}: {model['encoder']}, "
        f"{model['parameters']:,} parameters"
        + (" (promoted before; nothing was computed again)" if report.again else ""),
        f"dev ({dev['condition']}): EER {format_percent(dev['eer'])}, checkpoint verified; accept "
        f"a pair at a cosine of {dev['threshold']:.4f} or more (threshold.json)",
    ]
    if document.get("selection"):  # reports of before 0.2.0 have none
        lines += winner_luck.format_luck(document["selection"], document["trial"])
    test = document["test"]
    if test is None:
        lines.append(
            "the corpus has no test pairs: registered without figures. `spksearch corpus split` "
            "makes a copy of a corpus with test pairs of speakers of their own, for a new search"
        )
    else:
        lines.append(pair_list.format_counts(test["list"]))
        for numbers in test["conditions"].values():
            lines += pair_evaluation.format_numbers(numbers)
        lines += access_record.format_warning(test["looks"])
    return [*lines, *report.registration.format_lines(), f"folder: {report.folder}"]


def _measure_contenders(
    ledger: Ledger, contenders: Sequence[Contender], display: Display
) -> dict[str, Any] | None:
    """Return which of the configs trained again is probably the best; None without any."""
    if not contenders:
        return None
    state = ledger.state()
    found = winner_luck.measure_winner(state, contenders, choose_device(), display)
    if found is None:
        raise NoUsableTrial(
            "the configs that were trained again cannot be compared: fewer than two of them have a "
            "checkpoint, or the dev pairs have fewer than five speakers; promote one with --trial"
        )
    return found


def _measure_finalists(
    ledger: Ledger, choice: "SelectedCheckpoint", display: Display
) -> dict[str, Any] | None:
    """Return how sure it is that a finalist is the best; None for a trial that is none of them."""
    state = ledger.state()
    finalists = winner_luck.list_finalists(state)
    if choice.trial.trial not in {each.name for each in finalists}:
        return None
    return winner_luck.measure_winner(state, finalists, choose_device(), display)


def _select_intact_checkpoint(
    ledger: Ledger, trial: str | None, display: Display
) -> "SelectedCheckpoint":
    """Return the best intact checkpoint; record each damaged one that comes before it."""
    from spkmodel.core import checkpoint

    while True:
        choice = selection.select_checkpoint(ledger.state(), ledger.path.parent, trial)
        report = choice.report
        try:
            checkpoint.read(choice.folder, report.sha256)
        except checkpoint.CheckpointError as error:
            ledger.append(manager.damaged_event(choice.trial, report, str(error)))
            again = format_resume_command(ledger.state().search)
            display.print_line(
                f"{choice.trial.trial}, epoch {report.epoch} is passed over: {error}; epochs that "
                f"were lost with it are trained again by\n  {again}"
            )
        else:
            break
    better = selection.better_epoch_removed(choice)
    if better is not None:
        display.print_line(
            f"{choice.trial.trial} was better at epoch {better.epoch} (dev EER "
            f"{format_percent(better.objective)}), whose checkpoint is gone; epoch "
            f"{choice.report.epoch} is what remains (--keep-checkpoints at launch keeps more)"
        )
    return choice


def _bundle_folder(name: str, choice: "SelectedCheckpoint") -> Path:
    return search_folder(name) / "promoted" / f"{choice.trial.trial}-{choice.report.epoch}"


def _read_earlier_report(folder: Path, choice: "SelectedCheckpoint") -> dict[str, Any] | None:
    """Return the report of this very checkpoint, if it was evaluated before."""
    document = read_report(folder)
    if document is None:
        return None
    if document["model"]["checkpoint_sha256"] != choice.report.sha256:
        raise UsageError(
            f"{folder} holds a promotion of another checkpoint than the ledger names; move it away"
        )
    return document


def _record_test_access(ledger: Ledger, document: dict[str, Any]) -> None:
    """Append the `evaluated` event, unless an earlier call has."""
    test, model = document["test"], document["model"]
    if test is None:
        return
    pairs = test["list"]
    if access_record.count_accesses_before(
        ledger, pairs["sha256"], model["sha256"], bundle.CONDITIONS[-1]
    )[1]:
        return
    numbers = list(test["conditions"].values())
    ledger.append(access_record.evaluated_event(model, pairs, numbers))
