"""Register a promoted folder, and move an alias to it where that is right.

An alias is what others load a model by, so it is not moved without a word: what it pointed to is
compared on the same pairs, a version of another corpus is replaced on demand only, and a gate
moves it only where the new model is shown to be better.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.atomic_folder import hash_file
from search.core.errors import GateNotMet
from search.core.redact import redact
from search.evaluation import access_record, pair_evaluation
from search.ledger.events import PromotedCheckpoint, PromotedEvent
from search.ledger.ledger import Ledger
from search.models import loader, registry
from search.models.registry import AliasHolder, RegisteredVersion
from search.promotion import gate, model_card
from search.promotion.gate import Comparison
from search.tracking import sync

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from spkmodel.data.store import Store

PREVIOUS = "previous"
"""Alias that the version gets which a gate has replaced."""


@dataclass(frozen=True)
class AliasMove:
    """Which alias is to be moved, and what stands there."""

    model: str
    alias: str
    holder: AliasHolder | None
    """What the alias points to now; None: nothing."""
    better_than: str = ""
    """The alias of the gate; empty without a gate."""
    rival: AliasHolder | None = None
    """What that alias points to."""


@dataclass(frozen=True)
class Registration:
    """A registered version, and what became of the alias."""

    registered: RegisteredVersion
    move: AliasMove
    comparisons: list[Comparison]
    """With the gate's rival, or with what the alias pointed to."""
    why_not_compared: str
    problem: str
    """Why the gate kept the alias where it was; empty if it was moved."""

    @property
    def other(self) -> AliasHolder | None:
        """The version that it was compared with; None if that is the same or there is none."""
        other = self.move.rival or self.move.holder
        same = other is not None and other.version == self.registered.version
        return None if same else other

    def as_json(self) -> dict[str, Any]:
        """Return the version, the alias, the comparisons and the gate for a document."""
        registered, other = self.registered, self.other
        return {
            "model_name": registered.name,
            "model_version": registered.version,
            "alias": registered.alias,
            "uri": registered.uri,
            "compared_with": None if other is None else other.exact_uri,
            "comparisons": [each.as_json() for each in self.comparisons],
            "why_not_compared": self.why_not_compared,
            "gate": self.move.better_than or None,
            "gate_problem": self.problem or None,
        }

    def format_lines(self) -> list[str]:
        """Return for people what was registered and what the alias pointed to."""
        registered, other = self.registered, self.other
        lines = []
        if other is not None:
            there = "/".join(filter(None, (other.tags.get("search"), other.tags.get("trial"))))
            name = self.move.better_than or self.move.alias
            was = "is" if self.problem else "was"
            lines.append(f"{name} {was} {other.exact_uri} ({there or 'of unknown origin'})")
            lines += [f"  on the same pairs, {each.format()}" for each in self.comparisons]
            if self.why_not_compared:
                lines.append(f"  not compared: {self.why_not_compared}")
        lines.append(f"registered as {registered.name} version {registered.version}: "
                     f"{registered.uri}")  # fmt: skip
        return lines


def plan_move(
    client: "MlflowClient",
    model: str,
    alias: str,
    better_than: str | None,
    corpus_sha256: str,
    *,
    force: bool,
) -> AliasMove:
    """Look at what the alias points to, before anything is computed.

    Args:
        client: of the registry.
        model: the registered model's name.
        alias: to be moved.
        better_than: alias of the version that the new one must beat; None without a gate.
        corpus_sha256: of the search's corpus.
        force: move the alias even from a version of another corpus.

    Raises:
        GateNotMet: the alias points to a version of another corpus, and `force` is not given.
    """
    holder = registry.find_alias_holder(client, model, alias)
    if holder is not None and not force:
        there = _find_corpus(client, holder)
        if there and there != corpus_sha256:
            raise GateNotMet(
                f"alias {alias!r} of {model!r} points to version {holder.version} "
                f"({holder.tags.get('search', '?')}/{holder.tags.get('trial', '?')}), which is of "
                f"another corpus (SHA-256 {there[:12]}..., here {corpus_sha256[:12]}...): who "
                "loads it by the alias would get another kind of model. --model NAME registers "
                "under another name, --alias NAME takes another alias, --force moves this one"
            )
    if better_than is None:
        return AliasMove(model, alias, holder)
    rival = holder
    if better_than != alias:
        rival = registry.find_alias_holder(client, model, better_than)
    return AliasMove(model, alias, holder, better_than, rival)


def _find_corpus(client: "MlflowClient", holder: AliasHolder) -> str:
    """Return the SHA-256 of a version's corpus; empty where it is not known."""
    if "corpus_sha256" in holder.tags:
        return holder.tags["corpus_sha256"]
    return str(gate.read_report(client, holder).get("corpus_sha256", ""))


def register(
    ledger: Ledger,
    client: "MlflowClient",
    document: dict[str, Any],
    folder: Path,
    move: AliasMove,
    open_store: "Callable[[], Store]",
) -> tuple[Registration, dict[str, Any]]:
    """Register a promoted folder, compare it, and move the alias unless the gate forbids.

    Args:
        ledger: of the search, open for writing.
        client: of the registry.
        document: the report of the folder.
        folder: the promoted folder.
        move: which alias, as `plan_move` found it.
        open_store: opens the corpus' store; called only if there is something to compare.

    Returns:
        What was registered, and the report, which names the version now.
    """
    search = ledger.state().search
    registered = registry.register_version(
        client,
        folder,
        move.model,
        f"spksearch/{search.space}",
        title=f"promoted {document['trial']}, epoch {document['epoch']}",
        tags=_collect_tags(document, hash_file(folder / loader.CONFIG)),
        metrics=_collect_metrics(document),
    )
    comparisons: list[Comparison] = []
    why_not = ""
    other = move.rival or move.holder
    if other is not None and other.version != registered.version:
        comparisons, why_not = gate.compare_with_holder(
            client, other, folder, document, open_store()
        )
    problem = _find_gate_problem(move, registered, document, comparisons, why_not)
    if not problem:
        registered = _move_alias(client, move, registered)
    if document["registered_as"] != registered.exact_uri:
        document = model_card.rewrite_card(folder, document, registered.exact_uri)
    registry.update_card(
        client, folder, registered, lambda run_id: model_card.format_description(document, run_id)
    )
    _record_promotion(ledger, document, folder, registered, client.tracking_uri)
    sync.catch_up(ledger.path, client.tracking_uri)
    return Registration(registered, move, comparisons, why_not, problem), document


def choose_condition(document: Mapping[str, Any]) -> str:
    """Return the condition that a gate decides by: the one the search was judged in, or clean."""
    conditions, judged_in = document["test"]["conditions"], str(document["dev"]["condition"])
    return judged_in if judged_in in conditions else "clean"


def _find_gate_problem(
    move: AliasMove,
    registered: RegisteredVersion,
    document: Mapping[str, Any],
    comparisons: list[Comparison],
    why_not: str,
) -> str:
    """Return why the gate keeps the alias where it is; empty if it is moved."""
    if not move.better_than or move.rival is None or move.rival.version == registered.version:
        return ""
    rival = f"{move.better_than} ({move.rival.exact_uri})"
    if not comparisons:
        return f"it cannot be compared with {rival}: {why_not}"
    condition = choose_condition(document)
    found = next((each for each in comparisons if each.condition == condition), None)
    if found is None:
        return f"it cannot be compared with {rival} in the {condition} condition"
    if found.verdict == "better":
        return ""
    if found.verdict == "cannot decide":
        return (
            f"{found.speakers} speakers in the test pairs cannot decide whether it is better than "
            f"{rival}: a gate needs at least {gate.LEAST_SPEAKERS}"
        )
    assert found.high is not None
    return (
        f"it is not shown to be better than {rival}: the difference may be as high as "
        f"{100 * found.high:+.2f} points ({condition}, 95 %)"
    )


def _move_alias(
    client: "MlflowClient", move: AliasMove, registered: RegisteredVersion
) -> RegisteredVersion:
    name, version, holder = registered.name, registered.version, move.holder
    if move.better_than and holder is not None and holder.version != version:
        # First: a call that dies between the two leaves the old one with both names.
        client.set_registered_model_alias(name, PREVIOUS, holder.version)
    client.set_registered_model_alias(name, move.alias, version)
    return RegisteredVersion(name, version, move.alias, registered.created)


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
        "corpus_sha256": document["corpus_sha256"],
        "signature": model["signature"],
        "search": document["search"],
        "trial": document["trial"],
        "epoch": str(document["epoch"]),
        "dev_eer": f"{document['dev']['eer']:.6f}",
    }
    if document["test"] is not None:
        worse = pair_evaluation.describe_better_baselines(document["test"]["conditions"].values())
        if worse:
            tags["worse_than_no_network"] = worse
    return tags | {key: f"{value:.6f}" for key, value in _collect_metrics(document).items()}


def _collect_metrics(document: dict[str, Any]) -> dict[str, float]:
    if document["test"] is None:
        return {}
    numbers = list(document["test"]["conditions"].values())
    return access_record.run_metrics(numbers)
