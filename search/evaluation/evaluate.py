"""What a model makes of a list of pairs: figures with their interval, pictures, scores."""

import platform
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.atomic_folder import fill_folder, read_report, write_json
from search.core.errors import UsageError
from search.core.paths import home
from search.core.progress import Display, Silent
from search.data import location
from search.data.noise_and_rooms import find_recordings
from search.evaluation import analysis as extras_of_pairs
from search.evaluation import metrics, pair_list, test_access, verifier
from search.evaluation.analysis import AnalysisResult, Extras
from search.evaluation.metrics import Judgement
from search.evaluation.pair_list import PairList
from search.evaluation.protocol import DEFAULT, Protocol
from search.models import loader

if TYPE_CHECKING:
    from search.models.foreign.architecture import Reading
    from search.models.loader import Model
    from spkmodel.augment.conditions import Condition
    from spkmodel.data.store import Store


SCHEMA = "spksearch.evaluation/2"
_SCHEMA_WITHOUT_PROTOCOL = "spksearch.evaluation/1"
NOTHING_ELSE = Extras()


@dataclass(frozen=True)
class EvaluationReport:
    """One model, one list, one condition."""

    document: dict[str, Any]
    """What `report.json` holds."""
    folder: Path
    """Where report, pictures and scores are."""


def evaluate(
    model: str,
    corpus: Path | str,
    pairs: Path,
    condition: "Condition" = "clean",
    out: Path | None = None,
    *,
    protocol: Protocol = DEFAULT,
    extras: Extras = NOTHING_ELSE,
    noise: Path | None = None,
    rooms: Path | None = None,
    tracking_uri: str | None = None,
    reading: "Reading | None" = None,
    display: Display | None = None,
) -> EvaluationReport:
    """Score a list of pairs with a model and write what it is worth.

    The paths in the list are those of the corpus, wherever the list lies. A look at test pairs by
    a model of a search in this home is recorded in the search's ledger, and counted.

    Args:
        model: see `model_source.ACCEPTED`.
        corpus: its folder, packed on first use; or a URI where `corpus pack --to` has put it.
        pairs: looked for from here, then in the corpus.
        condition: how the utterances sound; see `spkmodel.augment.conditions`.
        out: a new folder; by default one below the home folder, named by what is evaluated.
        protocol: how utterances are heard and pairs scored.
        extras: what is told besides the figures of the pairs.
        noise: ambiences of the conditions that have some; see `noise_and_rooms.find_recordings`.
        rooms: its room responses.
        tracking_uri: of the registry, for `models:/...`.
        reading: what a checkpoint of voxceleb_trainer does not tell.
        display: what long work tells.

    Raises:
        UsageError, ListError, CorpusError: what was asked for cannot be used.
        NotFound: no such model.
        NotFinished: the model's search still runs.
    """
    began = time.monotonic()
    display = display or Silent()
    device = default_device()
    loaded = loader.load(model, device, tracking_uri, reading)
    with location.lists_of(corpus) as beside:
        if isinstance(corpus, str):
            _require_lists(corpus, beside, pairs, protocol, extras)
        store = _store_of(corpus, display, pair_list.found(pairs, beside))
        listed = pair_list.read(pairs, beside, store)
        plan = extras_of_pairs.plan(extras, beside, store, listed)
        lists = [listed] if plan.calibration is None else [listed, plan.calibration]
        lessons = verifier.plan(protocol, store, beside, lists)
    facts = listed.facts(store)
    folder = out or home() / "evaluations" / _folder_name(loaded, listed, condition, protocol)
    _require_free(folder, loaded, facts, condition, protocol)
    surroundings = (
        find_recordings(noise, "noise", corpus),
        find_recordings(rooms, "rooms", corpus),
    )
    with test_access.recorded_look(loaded, listed, condition, protocol) as look:
        taught = verifier.taught(loaded.encoder, device, protocol, lessons, store, display)
        judged = metrics.judge(taught, store, listed, condition, *surroundings, display)
        told = extras_of_pairs.tell(
            plan, taught, store, listed, judged, condition, surroundings, display
        )
        document = {
            "schema": SCHEMA,
            "model": loaded.facts(),
            "list": facts,
            "corpus_sha256": store.sha256,
            "looks": look.before,
            "protocol": protocol.facts(),
            "learnt": taught.learnt,
            **judged.numbers,
            **told.numbers,
            "seconds": round(time.monotonic() - began, 2),
            **surrounding_facts(device, taught.scoring),
        }
        _write(folder, document, judged, listed, extras, told)
        look.record(document)
    return EvaluationReport(document, folder)


def summary(report: EvaluationReport) -> list[str]:
    """The report for people."""
    document = report.document
    model = document["model"]
    is_default = document["protocol"] == DEFAULT.facts()
    return [
        f"{model['source']}: {model['encoder']}, {model['parameters']:,} parameters",
        *(f"  {note}" for note in model["notes"]),
        pair_list.counts(document["list"]),
        *([] if is_default else [f"scored by {document['scoring']}"]),
        *metrics.lines_of(document),
        *extras_of_pairs.lines(document),
        *test_access.line(document["looks"]),
        f"report, DET curve, histogram and scores: {report.folder}",
    ]


def default_device() -> str:
    """The accelerator if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _require_lists(uri: str, beside: Path, pairs: Path, protocol: Protocol, extras: Extras) -> None:
    """What is named is here or at the URI, whose lists lie in a folder that no message may name."""
    wanted = {
        "--pairs": pairs,
        "--calibrate-on": extras.calibrate_on,
        "--cohort": protocol.cohort,
    }
    for flag, path in wanted.items():
        if path is not None and not path.is_file() and not (beside / path).is_file():
            there = ", ".join(sorted(each.name for each in beside.iterdir()))
            raise UsageError(f"{flag}: no list {path}, neither here nor at {uri} ({there})")


def _store_of(corpus: Path | str, display: Display, pairs: Path) -> "Store":
    from spkmodel.data.store import Store

    if isinstance(corpus, Path):
        return packed(corpus, display, also=pairs)
    # What is packed cannot be added to: an utterance that it lacks is an error of the list.
    return Store.open(location.published(corpus).folder)


def packed(corpus: Path, display: Display, seed: int = 0, also: Path | None = None) -> "Store":
    """The corpus's store, packed if it was not.

    Args:
        corpus: its folder.
        display: what is told meanwhile.
        seed: of its dev speakers' choice.
        also: a list of pairs whose utterances lie in the folder and may be on none of its lists.
    """
    from spkmodel.data import lists
    from spkmodel.data.corpus import open_corpus, with_pairs
    from spkmodel.data.store import Store
    from spkmodel.data.store_writing import pack_corpus

    opened = open_corpus(corpus, seed)
    if also is not None:
        opened = with_pairs(opened, also, lists.read_pairs(also))
    with display.task("packing the corpus", "steps") as progress:
        return Store.open(pack_corpus(opened, home(), progress=progress))


def surrounding_facts(device: str, scoring: str) -> dict[str, Any]:
    """Where and with what a report was made."""
    names = ("torch", "torchaudio", "numpy")
    return {
        "scoring": scoring,
        "definitions": metrics.DEFINITIONS,
        "device": device,
        "versions": {name: version(name) for name in names} | {"python": platform.python_version()},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


# --- the folder ------------------------------------------------------------------------------


def _folder_name(model: "Model", listed: PairList, condition: str, protocol: Protocol) -> str:
    source = re.sub(r"[^A-Za-z0-9_.-]+", "-", model.source).strip("-.")[-60:]
    parts = [source, Path(listed.name).stem, listed.sha256[:8], condition, protocol.label()]
    return "-".join(part for part in parts if part)


def _require_free(
    folder: Path, model: "Model", facts: dict[str, Any], condition: str, protocol: Protocol
) -> None:
    """Only the same evaluation may be there already; it is then made anew."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    there = read_report(folder) or {}
    if there.get("schema") == _SCHEMA_WITHOUT_PROTOCOL:
        there = {**there, "schema": SCHEMA, "protocol": DEFAULT.facts()}
    same = (
        there.get("schema") == SCHEMA
        and there["model"]["sha256"] == model.sha256
        and there["model"].get("notes", []) == list(model.notes)
        and there["list"]["sha256"] == facts["sha256"]
        and there["condition"] == condition
        and there["protocol"] == protocol.facts()
    )
    if not same:
        raise UsageError(
            f"{folder} is there and is not the folder of this evaluation; choose another --out, or "
            "move it away"
        )


def _write(
    folder: Path,
    document: dict[str, Any],
    judged: Judgement,
    listed: PairList,
    extras: Extras,
    told: AnalysisResult,
) -> None:
    from spkmodel.verification import score_files

    form, pairs = extras.score_format, listed.pairs
    with fill_folder(folder) as beside:
        write_json(beside / "report.json", document)
        score_files.write(beside / "scores.txt", "ours", pairs, judged.scores)
        if form != "ours":
            path = beside / f"scores_{form}.txt"
            score_files.write(path, form, pairs, judged.scores, exact=extras.exact_scores)
        if told.llrs is not None:
            score_files.write(beside / "scores_calibrated.txt", "ours", pairs, told.llrs)
        parts = [document["model"]["source"], judged.condition, document["protocol"]["label"]]
        title = ", ".join(part for part in parts if part)
        metrics.write_pictures(beside, [judged], title, document["list"])
