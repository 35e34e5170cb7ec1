"""What a model makes of a list of pairs: figures with their interval, pictures, scores."""

import platform
import re
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search import judgement, model_source
from search.errors import NotFinished, UsageProblem
from search.home import home, ledger_path
from search.judgement import Judgement, PairList
from search.ledger import Ledger
from search.live import Display, Silent
from search.result_folder import filled, read_report, write_json
from search.settings import surroundings_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from search.model_source import Model
    from spkmodel.conditions import Condition
    from spkmodel.lists import Pair
    from spkmodel.store import Store


SCHEMA = "spksearch.evaluation/1"


@dataclass(frozen=True)
class EvaluationReport:
    """One model, one list, one condition."""

    document: dict[str, Any]
    """What `report.json` holds."""
    folder: Path
    """Where report, pictures and scores are."""


def evaluate(
    model: str,
    corpus: Path,
    pairs: Path,
    condition: "Condition" = "clean",
    out: Path | None = None,
    *,
    noise: Path | None = None,
    rooms: Path | None = None,
    tracking_uri: str | None = None,
    display: Display | None = None,
) -> EvaluationReport:
    """Score a list of pairs with a model and write what it is worth.

    The paths in the list are those of the corpus, wherever the list lies. A look at test pairs by
    a model of a search in this home is recorded in the search's ledger, and counted.

    Args:
        model: see `model_source.ACCEPTED`.
        corpus: its folder; packed on first use.
        pairs: looked for from here, then in the corpus.
        condition: "clean" or "mismatched".
        out: a new folder; by default one below the home folder, named by what is evaluated.
        noise: ambiences of the mismatched condition; see `settings.surroundings_folder`.
        rooms: its room responses.
        tracking_uri: of the registry, for `models:/...`.
        display: what long work tells.

    Raises:
        UsageProblem, ListError, CorpusError: what was asked for cannot be used.
        NotFound: no such model.
        NotFinished: the model's search still runs.
    """
    began = time.monotonic()
    display = display or Silent()
    device = default_device()
    loaded = model_source.load(model, device, tracking_uri)
    store = packed(corpus, display)
    listed = _listed(pairs, corpus, store)
    facts = listed.facts(store)
    folder = out or home() / "evaluations" / _folder_name(loaded, listed, condition)
    _require_free(folder, loaded, facts, condition)
    surroundings = (
        surroundings_folder(noise, "noise", corpus),
        surroundings_folder(rooms, "rooms", corpus),
    )
    with _recorded_look(loaded, listed, condition) as look:
        judged = judgement.judge(
            loaded.encoder, store, listed, condition, *surroundings, device, display
        )
        document = {
            "schema": SCHEMA,
            "model": loaded.facts(),
            "list": facts,
            "corpus_sha256": store.sha256,
            "looks": look.before,
            **judged.numbers,
            "seconds": round(time.monotonic() - began, 2),
            **surrounding_facts(device),
        }
        _write(folder, document, judged, listed)
        look.record(document)
    return EvaluationReport(document, folder)


def summary(report: EvaluationReport) -> list[str]:
    """The report for people."""
    document = report.document
    model = document["model"]
    return [
        f"{model['source']}: {model['encoder']}, {model['parameters']:,} parameters",
        judgement.counts(document["list"]),
        *judgement.lines_of(document),
        *looks_line(document["looks"]),
        f"report, DET curve, histogram and scores: {report.folder}",
    ]


def looks_line(looks: int) -> list[str]:
    """A warning if these pairs have been looked at before; nothing otherwise."""
    if looks == 0:
        return []
    times = "once" if looks == 1 else f"{looks} times"
    return [
        f"these test pairs were looked at {times} before in this search: the figure is no longer "
        "that of unseen pairs"
    ]


def default_device() -> str:
    """The accelerator if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def packed(corpus: Path, display: Display, seed: int = 0) -> "Store":
    """The corpus's store, packed if it was not; `seed` is that of its dev speakers' choice."""
    from spkmodel import store
    from spkmodel.corpus import open_corpus

    opened = open_corpus(corpus, seed)
    with display.task("packing the corpus", "steps") as progress:
        return store.Store.open(store.pack(opened, home(), progress=progress))


def surrounding_facts(device: str) -> dict[str, Any]:
    """Where and with what a report was made."""
    names = ("torch", "torchaudio", "numpy")
    return {
        "scoring": judgement.SCORING,
        "definitions": judgement.DEFINITIONS,
        "device": device,
        "versions": {name: version(name) for name in names} | {"python": platform.python_version()},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def looks_before(ledger: Ledger, pairs: str, model: str, condition: str) -> tuple[int, bool]:
    """How often a search looked at a list before this, and whether this very look is recorded.

    Args:
        ledger: of the search.
        pairs: the list's SHA-256.
        model: that of the weights.
        condition: what the pairs sound like.
    """
    events = [each for each in ledger.state().evaluations if each["list"]["sha256"] == pairs]
    for place, event in enumerate(events):
        if event["sha256"] == model and condition in event["conditions"]:
            return place, True
    return len(events), False


# --- the list --------------------------------------------------------------------------------


def _listed(pairs: Path, corpus: Path, store: "Store") -> PairList:
    from spkmodel.lists import read_pairs

    path = pairs if pairs.is_file() else corpus / pairs
    if not path.is_file():
        raise UsageProblem(f"no list of pairs {pairs}, neither here nor in {corpus}")
    read = read_pairs(path)
    _require_known(path, read, store)
    return judgement.pair_list(path.name, read, store)


def _require_known(path: Path, pairs: "Sequence[Pair]", store: "Store") -> None:
    from spkmodel.lists import ListError

    known = set(store.ids)
    for line, pair in enumerate(pairs, 1):
        for utterance in (pair.enrolment, pair.test):
            if utterance not in known:
                raise ListError(
                    path,
                    line,
                    f"{utterance} is not an utterance of the corpus, which has {len(known)}; paths "
                    "are relative to the corpus's folder",
                )


# --- looks at test pairs ---------------------------------------------------------------------


@dataclass
class _Look:
    """One look at a list of pairs, to be recorded in the ledger of the model's search."""

    ledger: Ledger | None
    before: int = 0
    repeated: bool = False

    def record(self, document: dict[str, Any]) -> None:
        """Append the `evaluated` event, unless the same was recorded before."""
        if self.ledger is not None and not self.repeated:
            fields = evaluated_event(document["model"], document["list"], [document])
            self.ledger.append("evaluated", **fields)


def evaluated_event(
    model: dict[str, Any], pairs: dict[str, Any], numbers: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The fields of an `evaluated` event; its metrics appear on the trial's MLflow run."""
    metrics = {}
    for each in numbers:
        prefix = "test" if each["condition"] == "clean" else f"{each['condition']}_test"
        for name in ("eer", "eer_low", "eer_high", "min_dcf_p01", "min_dcf_p05"):
            metrics[f"{prefix}_{name}"] = each[name]
    return {
        "trial": model["trial"],
        "sha256": model["sha256"],
        "list": pairs,
        "conditions": [each["condition"] for each in numbers],
        "metrics": metrics,
    }


@contextmanager
def _recorded_look(model: "Model", listed: PairList, condition: str) -> "Iterator[_Look]":
    """The search's ledger held for writing, where this is a look at its test pairs."""
    path = ledger_path(model.search) if model.search else None
    if path is None or listed.split != "test" or not path.is_file():
        yield _Look(None)
        return
    with writing(path, "its test pairs are opened") as ledger:
        before, repeated = looks_before(ledger, listed.sha256, model.sha256, condition)
        yield _Look(ledger, before, repeated)


@contextmanager
def writing(path: Path, what: str) -> "Iterator[Ledger]":
    """The ledger of a search that does not run.

    Raises:
        NotFinished: if it runs.
    """
    from search.errors import EnvironmentProblem
    from search.lock import driver_of

    try:
        ledger = Ledger.open(path, write=True)
    except EnvironmentProblem as error:
        owner = driver_of(path.parent)
        if owner is None or not owner.is_alive():
            raise
        name = path.parent.name
        raise NotFinished(
            f"search {name!r} still runs (process {owner.pid} on {owner.host}); {what} once it has "
            f"ended: wait, or `spksearch stop {name}`"
        ) from error
    with ledger:
        yield ledger


# --- the folder ------------------------------------------------------------------------------


def _folder_name(model: "Model", listed: PairList, condition: str) -> str:
    source = re.sub(r"[^A-Za-z0-9_.-]+", "-", model.source).strip("-.")[-60:]
    return f"{source}-{Path(listed.name).stem}-{listed.sha256[:8]}-{condition}"


def _require_free(folder: Path, model: "Model", facts: dict[str, Any], condition: str) -> None:
    """Only the same evaluation may be there already; it is then made anew."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    there = read_report(folder) or {}
    same = (
        there.get("schema") == SCHEMA
        and there["model"]["sha256"] == model.sha256
        and there["list"]["sha256"] == facts["sha256"]
        and there["condition"] == condition
    )
    if not same:
        raise UsageProblem(
            f"{folder} is there and is not the folder of this evaluation; choose another --out, or "
            "move it away"
        )


def _write(folder: Path, document: dict[str, Any], judged: Judgement, listed: PairList) -> None:
    with filled(folder) as beside:
        write_json(beside / "report.json", document)
        judgement.write_scores(beside / "scores.txt", listed.pairs, judged.scores)
        title = f"{document['model']['source']}, {judged.condition}"
        judgement.write_pictures(beside, [judged], title, document["list"])
