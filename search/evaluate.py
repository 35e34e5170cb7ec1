"""What a model makes of a list of pairs: figures with their interval, pictures, scores."""

import platform
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search import judgement, looks, model_source
from search.errors import UsageProblem
from search.home import home
from search.judgement import Judgement, PairList
from search.live import Display, Silent
from search.result_folder import filled, read_report, write_json
from search.settings import surroundings_folder

if TYPE_CHECKING:
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
    with looks.recorded_look(loaded, listed, condition) as look:
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
        *looks.line(document["looks"]),
        f"report, DET curve, histogram and scores: {report.folder}",
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
