"""Promote the best checkpoint of a search: verify it, evaluate it on the test pairs, register it.

The order makes an interrupted promotion safe: the folder appears in one step, then the access to
the test pairs is recorded, then the version is registered; another call completes what is missing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.checkpoints import manager, selection
from search.core.atomic_folder import hash_file, read_report
from search.core.errors import UsageError
from search.core.paths import existing_ledger, search_folder
from search.core.progress import Display, Silent
from search.core.redact import redact
from search.evaluation import access_record, pair_evaluation, pair_list
from search.ledger.events import PromotedCheckpoint, PromotedEvent
from search.ledger.ledger import Ledger
from search.models import loader, mlflow_client, registry
from search.models.registry import RegisteredVersion
from search.promotion import bundle, model_card
from search.reporting.formatting import format_percent
from search.reporting.snapshot import format_resume_command
from search.tracking import sync

if TYPE_CHECKING:
    from search.checkpoints.selection import SelectedCheckpoint


@dataclass(frozen=True)
class PromotionReport:
    """A promoted model: its folder, its version in the registry, and its figures."""

    document: dict[str, Any]
    """The content of `report.json`."""
    folder: Path
    registered: RegisteredVersion
    again: bool
    """Whether it had been promoted before, so that nothing was computed now."""

    def as_json(self) -> dict[str, Any]:
        """Return everything as a JSON document."""
        registered = self.registered
        return {
            **self.document,
            "folder": str(self.folder),
            "model_name": registered.name,
            "model_version": registered.version,
            "alias": registered.alias,
            "uri": registered.uri,
            "again": self.again,
        }


def promote(
    name: str,
    *,
    trial: str | None = None,
    model: str | None = None,
    alias: str = "candidate",
    tracking_uri: str | None = None,
    display: Display | None = None,
) -> PromotionReport:
    """Verify, evaluate and register a trial's checkpoint; a second call only moves the alias.

    Args:
        name: the search; it must not be running.
        trial: one of its trials; by default the best, see `selection.select_checkpoint`.
        model: the registered model's name; by default `spksearch-<space>`.
        alias: to be given to the version.
        tracking_uri: of the registry; see `mlflow_client.connect_mlflow`.
        display: shows the progress of long work.

    Raises:
        UsageError: the name or the alias is one that MLflow refuses.
        NotFound: no such search or trial.
        NotFinished: the search still runs.
        NoUsableTrial: nothing to promote.
        SpksearchError: the checkpoint is not what the ledger says.
        EnvironmentSetupError: the tracking server does not answer; what was computed is kept.
    """
    path = existing_ledger(name)
    space = Ledger.open(path).state().search.space
    registered_name = model or f"spksearch-{space}"
    # What MLflow would refuse at the end is refused before the test pairs are opened.
    registry.check_names(registered_name, alias)
    display = display or Silent()
    with access_record.open_idle_ledger(path, "it can be promoted") as ledger:
        choice = _select_intact_checkpoint(ledger, name, trial, display)
        folder = _bundle_folder(name, choice)
        registered_as = f"models:/{registered_name}@{alias}"
        document = _read_earlier_report(folder, choice)
        again = document is not None
        if document is None:
            document = bundle.build_bundle(ledger, choice, folder, registered_as, display)
        elif document["registered_as"] != registered_as:
            document = model_card.rewrite_card(folder, document, registered_as)
        _record_test_access(ledger, document)
        registered = _register(ledger, document, folder, registered_name, alias, tracking_uri)
    return PromotionReport(document, folder, registered, again and not registered.created)


def format_summary(report: PromotionReport) -> list[str]:
    """Return the report for people, by line."""
    document, dev = report.document, report.document["dev"]
    model = document["model"]
    lines = [
        f"{document['search']}/{document['trial']}, epoch {document['epoch']}: {model['encoder']}, "
        f"{model['parameters']:,} parameters"
        + (" (promoted before; nothing was computed again)" if report.again else ""),
        f"dev ({dev['condition']}): EER {format_percent(dev['eer'])}, checkpoint verified",
    ]
    test = document["test"]
    if test is None:
        lines.append("the corpus has no test pairs: registered without figures")
    else:
        lines.append(pair_list.format_counts(test["list"]))
        for numbers in test["conditions"].values():
            lines += pair_evaluation.format_numbers(numbers)
        lines += access_record.format_warning(test["looks"])
    registered = report.registered
    return [
        *lines,
        f"registered as {registered.name} version {registered.version}: {registered.uri}",
        f"folder: {report.folder}",
    ]


def _select_intact_checkpoint(
    ledger: Ledger, name: str, trial: str | None, display: Display
) -> "SelectedCheckpoint":
    """Return the best intact checkpoint; record each damaged one that comes before it."""
    from spkmodel.core import checkpoint

    while True:
        choice = selection.select_checkpoint(ledger.state(), search_folder(name), trial)
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


# --- the registry ----------------------------------------------------------------------------


def _register(
    ledger: Ledger,
    document: dict[str, Any],
    folder: Path,
    name: str,
    alias: str,
    tracking_uri: str | None,
) -> RegisteredVersion:
    search = ledger.state().search
    title = f"promoted {document['trial']}, epoch {document['epoch']}"
    with mlflow_client.connect_mlflow(tracking_uri, search.tracking_uri) as client:
        registered = registry.register_version(
            client,
            folder,
            name,
            alias,
            f"spksearch/{search.space}",
            title=title,
            tags=_collect_tags(document, hash_file(folder / loader.CONFIG)),
            metrics=_collect_metrics(document),
        )
        _record_promotion(ledger, document, folder, registered, client.tracking_uri)
        sync.catch_up(ledger.path, client.tracking_uri)
    return registered


def _record_promotion(
    ledger: Ledger, document: dict[str, Any], folder: Path, registered: RegisteredVersion, uri: str
) -> None:
    event = PromotedEvent(
        trial=document["trial"],
        checkpoint=PromotedCheckpoint(
            epoch=document["epoch"], sha256=document["model"]["checkpoint_sha256"]
        ),
        sha256=document["model"]["sha256"],
        folder=str(folder.relative_to(ledger.path.parent)),
        model=registered.name,
        version=registered.version,
        alias=registered.alias,
        tracking_uri=redact(uri),
    )
    earlier = ledger.state().promotions
    if not earlier or earlier[-1].fields() != event.fields():
        ledger.append(event)


def _collect_tags(document: dict[str, Any], config_sha256: str) -> dict[str, str]:
    model = document["model"]
    tags = {
        "sha256": model["sha256"],
        "config_sha256": config_sha256,
        "checkpoint_sha256": model["checkpoint_sha256"],
        "signature": model["signature"],
        "search": document["search"],
        "trial": document["trial"],
        "epoch": str(document["epoch"]),
        "dev_eer": f"{document['dev']['eer']:.6f}",
    }
    return tags | {key: f"{value:.6f}" for key, value in _collect_metrics(document).items()}


def _collect_metrics(document: dict[str, Any]) -> dict[str, float]:
    if document["test"] is None:
        return {}
    numbers = list(document["test"]["conditions"].values())
    return access_record.run_metrics(numbers)
