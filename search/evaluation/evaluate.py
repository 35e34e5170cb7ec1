"""Evaluate a model on a list of pairs: error rates with intervals, figures and score files."""

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
from search.evaluation import access_record, corpus_store, pair_evaluation, pair_list, verifier
from search.evaluation.analysis import (
    AnalysisPlan,
    AnalysisRequest,
    AnalysisResult,
    analyse,
    collect_scores,
    format_analysis,
    plan_analysis,
)
from search.evaluation.baseline_cache import Recordings
from search.evaluation.dev_threshold import find_dev_threshold, rates_at_dev_threshold
from search.evaluation.pair_evaluation import PairEvaluation
from search.evaluation.pair_list import PairList
from search.evaluation.protocol import DEFAULT, Protocol
from search.evaluation.verifier import TrainingStatistics
from search.models import loader
from spkmodel.data.pair_evidence import describe_pairs_without_evidence

if TYPE_CHECKING:
    from search.models.foreign.architecture import Reading
    from search.models.loader import Model
    from spkmodel.augment.conditions import Condition
    from spkmodel.data.store import Store
    from spkmodel.verification.subsets import ScoredPairs


SCHEMA = "spksearch.evaluation/2"
_SCHEMA_WITHOUT_PROTOCOL = "spksearch.evaluation/1"
NO_ANALYSIS = AnalysisRequest()


@dataclass(frozen=True)
class EvaluationReport:
    """The evaluation of one model on one list in one condition."""

    document: dict[str, Any]
    """The contents of `report.json`."""
    folder: Path
    """The folder of report, figures and scores."""
    scored: "ScoredPairs"
    """The scores with the speakers of both sides."""
    listed: PairList


@dataclass(frozen=True)
class _Evaluation:
    """Everything that an evaluation needs, read and checked before anything is embedded."""

    model: "Model"
    device: str
    store: "Store"
    listed: PairList
    condition: "Condition"
    recordings: Recordings
    protocol: Protocol
    statistics: TrainingStatistics
    analysis: AnalysisRequest
    plan: AnalysisPlan


def evaluate(
    model: str,
    corpus: Path | str,
    pairs: Path,
    condition: "Condition" = "clean",
    out: Path | None = None,
    *,
    protocol: Protocol = DEFAULT,
    analysis: AnalysisRequest = NO_ANALYSIS,
    noise: Path | None = None,
    rooms: Path | None = None,
    tracking_uri: str | None = None,
    reading: "Reading | None" = None,
    display: Display | None = None,
) -> EvaluationReport:
    """Score a list of pairs with a model, and write the error rates, figures and scores.

    The paths in the list are relative to the corpus, wherever the list lies. If the pairs are test
    pairs and the model is of a search in this home, the search's ledger records and counts it.

    Args:
        model: see `models.loader.ACCEPTED`.
        corpus: its folder, packed on first use; or a URI where `corpus pack --to` has put it.
        pairs: a list, looked for from here, then in the corpus.
        condition: how the utterances sound; see `spkmodel.augment.conditions`.
        out: a new folder; by default one below the home folder, named by what is evaluated.
        protocol: which parts of utterances are embedded, and how pairs are scored.
        analysis: what is computed besides the error rates of the pairs.
        noise: ambiences for conditions that need them; see `noise_and_rooms.find_recordings`.
        rooms: room responses for them.
        tracking_uri: of the registry, for `models:/...`.
        reading: what a checkpoint of voxceleb_trainer does not tell.
        display: shows the progress.

    Raises:
        UsageError, ListError, CorpusError: what was asked for cannot be used.
        NotFound: no such model.
        NotFinished: the model's search still runs.
    """
    began, display, device = time.monotonic(), display or Silent(), choose_device()
    loaded = loader.load(model, device, tracking_uri, reading)
    recordings = Recordings(
        *(find_recordings(*each, corpus) for each in ((noise, "noise"), (rooms, "rooms")))
    )
    task = _prepare(
        loaded, device, corpus, pairs, condition, recordings, protocol, analysis, display
    )
    folder = out or home() / "evaluations" / _name_folder(task)
    _require_free(folder, task)
    # The ledger is held for writing meanwhile, so that no look at test pairs goes uncounted.
    with access_record.open_access(loaded, task.listed, condition, protocol) as access:
        document, scored = _run(task, folder, access.before, began, display)
        access.record(document)
    return EvaluationReport(document, folder, scored, task.listed)


def _prepare(
    model: "Model",
    device: str,
    corpus: Path | str,
    pairs: Path,
    condition: "Condition",
    recordings: Recordings,
    protocol: Protocol,
    analysis: AnalysisRequest,
    display: Display,
) -> _Evaluation:
    """Read the lists and plan the work, so that a mistake ends it before hours of embedding."""
    with location.open_lists(corpus) as lists:
        if isinstance(corpus, str):
            corpus_store.require_lists(corpus, lists, pairs, protocol, analysis)
        store = corpus_store.open_store(corpus, display, pair_list.find_list(pairs, lists))
        listed = pair_list.read_list(pairs, lists, store)
        plan = plan_analysis(analysis, lists, store, listed)
        scored = [listed] if plan.calibration is None else [listed, plan.calibration]
        statistics = verifier.plan_statistics(protocol, store, lists, scored)
    for each in scored:
        for warning in describe_pairs_without_evidence(each.pairs, each.name):
            display.print_line(f"warning: {warning}")
    return _Evaluation(
        model, device, store, listed, condition, recordings, protocol, statistics, analysis, plan
    )


def _run(
    task: _Evaluation, folder: Path, looks: int, began: float, display: Display
) -> "tuple[dict[str, Any], ScoredPairs]":
    """Score the pairs, write the folder, and return the report and the scores."""
    store, listed, recordings = task.store, task.listed, task.recordings
    fitted = verifier.fit_verifier(
        task.model.encoder, task.device, task.protocol, task.statistics, store, display
    )
    evaluation = pair_evaluation.evaluate_pairs(
        fitted, store, listed, task.condition, recordings, display
    )
    result = analyse(
        task.plan, fitted, store, listed, evaluation, task.condition, recordings, display
    )
    # The threshold of a promotion is that of the default scores.
    is_default = task.protocol.facts() == DEFAULT.facts()
    threshold = find_dev_threshold(task.model) if is_default else None
    document = {
        "schema": SCHEMA,
        "model": task.model.facts(),
        "list": listed.facts(store),
        "corpus_sha256": store.sha256,
        "looks": looks,
        "protocol": task.protocol.facts(),
        "learnt": fitted.learnt,
        **evaluation.numbers,
        "at_dev_threshold": rates_at_dev_threshold(
            threshold, evaluation.scores, evaluation.targets
        ),
        **result.numbers,
        "seconds": round(time.monotonic() - began, 2),
        **describe_origin(task.device, fitted.scoring),
    }
    _write(folder, document, evaluation, listed, task.analysis, result)
    return document, collect_scores(listed, evaluation, store)


def format_summary(report: EvaluationReport) -> list[str]:
    """Return the report as lines of text."""
    document = report.document
    model = document["model"]
    is_default = document["protocol"] == DEFAULT.facts()
    return [
        f"{model['source']}: {model['encoder']}, {model['parameters']:,} parameters",
        *(f"  {note}" for note in model["notes"]),
        pair_list.format_counts(document["list"]),
        *([] if is_default else [f"scored by {document['scoring']}"]),
        *pair_evaluation.format_numbers(document),
        *format_analysis(document),
        *access_record.format_warning(document["looks"]),
        f"report, DET curve, histogram and scores: {report.folder}",
    ]


def choose_device() -> str:
    """Return the accelerator if there is one, else the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def describe_origin(device: str, scoring: str) -> dict[str, Any]:
    """Return when, on which device and with which versions a report was made."""
    names = ("torch", "torchaudio", "numpy")
    return {
        "scoring": scoring,
        "definitions": pair_evaluation.DEFINITIONS,
        "device": device,
        "versions": {name: version(name) for name in names} | {"python": platform.python_version()},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


# --- the folder ------------------------------------------------------------------------------


def _name_folder(task: _Evaluation) -> str:
    source = re.sub(r"[^A-Za-z0-9_.-]+", "-", task.model.source).strip("-.")[-60:]
    parts = [source, Path(task.listed.name).stem, task.listed.sha256[:8]]
    parts += [task.condition, task.protocol.label()]
    return "-".join(part for part in parts if part)


def _require_free(folder: Path, task: _Evaluation) -> None:
    """Require that the folder is empty or holds the same evaluation, which is then replaced."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    there = read_report(folder) or {}
    # Reports from before there were protocols were all made by the default.
    if there.get("schema") == _SCHEMA_WITHOUT_PROTOCOL:
        there = {**there, "schema": SCHEMA, "protocol": DEFAULT.facts()}
    same = (
        there.get("schema") == SCHEMA
        and there["model"]["sha256"] == task.model.sha256
        and there["model"].get("notes", []) == list(task.model.notes)
        and there["list"]["sha256"] == task.listed.sha256
        and there["condition"] == task.condition
        and there["protocol"] == task.protocol.facts()
    )
    if not same:
        raise UsageError(
            f"{folder} is there and is not the folder of this evaluation; choose another --out, or "
            "move it away"
        )


def _write(
    folder: Path,
    document: dict[str, Any],
    evaluation: PairEvaluation,
    listed: PairList,
    analysis: AnalysisRequest,
    result: AnalysisResult,
) -> None:
    from spkmodel.verification import score_files

    form, pairs = analysis.score_format, listed.pairs
    with fill_folder(folder) as beside:
        write_json(beside / "report.json", document)
        score_files.write(beside / "scores.txt", "ours", pairs, evaluation.scores)
        if form != "ours":
            path = beside / f"scores_{form}.txt"
            score_files.write(path, form, pairs, evaluation.scores, exact=analysis.exact_scores)
        if result.llrs is not None:
            score_files.write(beside / "scores_calibrated.txt", "ours", pairs, result.llrs)
        parts = [document["model"]["source"], evaluation.condition, document["protocol"]["label"]]
        title = ", ".join(part for part in parts if part)
        chosen = document["at_dev_threshold"]
        threshold = None if chosen is None else chosen["threshold"]
        pair_evaluation.draw_figures(beside, [evaluation], title, document["list"], threshold)
