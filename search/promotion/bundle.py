"""Build the folder of a promoted model: verify, score the test pairs, write files."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.atomic_folder import fill_folder, write_json
from search.core.errors import SpksearchError, UsageError
from search.core.progress import Display
from search.data import location
from search.evaluation import access_record, evaluate, verifier
from search.evaluation import pair_evaluation as pair_metrics
from search.evaluation import search_stores as stores
from search.evaluation.baseline_cache import Recordings
from search.evaluation.pair_evaluation import PairEvaluation
from search.evaluation.pair_list import PairList
from search.evaluation.protocol import DEFAULT
from search.ledger.ledger import Ledger
from search.ledger.settings import SearchSettings
from search.models import loader, model_files
from search.promotion import model_card
from search.reporting import learning_curves

if TYPE_CHECKING:
    from search.checkpoints.selection import SelectedCheckpoint
    from search.models.loader import Model
    from spkmodel.augment.conditions import Condition
    from spkmodel.data.store import Store

SCHEMA = "spksearch.promotion/1"
CONDITIONS: "tuple[Condition, ...]" = ("clean", "mismatched")
TOLERANCE = 1e-6
"""Between recorded and recomputed dev EER on the same kind of device; elsewhere, two pairs."""


def build_bundle(
    ledger: Ledger,
    choice: "SelectedCheckpoint",
    folder: Path,
    luck: dict[str, Any] | None,
    display: Display,
) -> dict[str, Any]:
    """Verify a checkpoint, score the test pairs in every condition, and write the folder.

    `luck` is what `winner_luck.measure_winner` says of the trials that it was chosen from.

    Returns the content of `report.json`; the version is not known yet that it will name.

    Raises:
        SpksearchError: if the checkpoint is not what the ledger says.
        UsageError: if the corpus is not there, or not as it was.
    """
    began = time.monotonic()
    search = ledger.state().search
    device = evaluate.choose_device()
    model = loader.read_selected(ledger.search, choice, device)
    store = stores.open_store(search, display)
    dev = _verify_on_dev(model, choice, search, store, device, display)
    tested = _load_test_pairs(search, store)
    evaluated = []
    if tested is not None:
        evaluated = _evaluate_on_test(model, tested, search, store, device, display)
    facts = model.facts() | {"checkpoint_sha256": choice.report.sha256}
    document = {
        "schema": SCHEMA,
        "search": ledger.search,
        "space": search.space,
        "trial": model.trial,
        "epoch": model.epoch,
        "rung": choice.trial.rung,
        "registered_as": "",
        "model": facts,
        "corpus_sha256": search.corpus_sha256,
        "dev": dev,
        "selection": luck,
        "test": _test_document(ledger, tested, evaluated, store, facts["sha256"], dev["threshold"]),
        "utterance_seconds": _utterance_seconds(store, tested),
        "seconds": round(time.monotonic() - began, 2),
        **evaluate.describe_origin(device, DEFAULT.describe()),
    }
    epochs = learning_curves.collect_epochs(choice.trial, search.rungs)
    subtitle = learning_curves.format_subtitle(search, choice.trial)
    _write_bundle(folder, model, document, evaluated, tested, epochs, subtitle)
    return document


def _write_bundle(
    folder: Path,
    model: "Model",
    document: dict[str, Any],
    evaluated: list[PairEvaluation],
    tested: PairList | None,
    epochs: learning_curves.EpochCurves,
    trained: str,
) -> None:
    from spkmodel.verification import score_files

    config = model.config.model_dump(mode="json")
    with fill_folder(folder) as beside:
        (beside / loader.WEIGHTS).write_bytes(loader.serialise_weights(model.encoder))
        write_json(beside / loader.CONFIG, config)
        write_json(beside / loader.THRESHOLD, _threshold_document(document))
        write_json(beside / "report.json", document)
        title = f"{document['search']}/{document['trial']}"
        learning_curves.draw_epochs(beside / "epochs.png", epochs, title, trained)
        card = model_card.format_card(document, config)
        (beside / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        model_files.add_mlflow_model(beside)
        if tested is not None:
            for each in evaluated:
                suffix = "" if each.condition == "clean" else f"_{each.condition}"
                path = beside / f"scores{suffix}.txt"
                score_files.write(path, "ours", tested.pairs, each.scores)
            title = f"{title}, {document['epoch']} epochs"
            pair_metrics.draw_figures(
                beside, evaluated, title, document["test"]["list"], document["dev"]["threshold"]
            )


def _threshold_document(document: dict[str, Any]) -> dict[str, Any]:
    """Return the threshold chosen on the dev pairs, and those at the EER of the test pairs."""
    dev, test = document["dev"], document["test"]
    return {
        "threshold": dev["threshold"],
        "score": DEFAULT.describe(),
        "chosen_on": {"list": dev["list"], "condition": dev["condition"], "rule": "EER"},
        "at_test_eer": {}
        if test is None
        else {name: each["threshold"] for name, each in test["conditions"].items()},
    }


# --- dev: verify the checkpoint --------------------------------------------------------------


def _verify_on_dev(
    model: "Model",
    choice: "SelectedCheckpoint",
    search: SearchSettings,
    store: "Store",
    device: str,
    display: Display,
) -> dict[str, Any]:
    """Return the figures on the dev pairs, if they are those that the trial reported.

    Raises:
        SpksearchError: if the EER differs by more than the tolerance.
    """
    from spkmodel.verification import embed_and_score

    heard = stores.open_dev_store(search, store, display)
    pairs = PairList.from_pairs("dev pairs", store.dev_pairs, store)
    with display.task("verifying on the dev pairs", "utterances") as progress:
        verdict = embed_and_score.evaluate_encoder(
            model.encoder, heard, pairs.pairs, device, progress
        )
    recorded = choice.report.metrics["dev_eer"]
    facts = pairs.facts(store)
    allowed = TOLERANCE
    if _training_device(choice.folder) != device:
        allowed = max(allowed, 2 / min(facts["targets"], facts["non_targets"]))
    if abs(verdict.eer - recorded) > allowed:
        raise SpksearchError(
            f"{choice.folder}: on the dev pairs this checkpoint has an EER of {verdict.eer:.6f}, "
            f"but the ledger says {recorded:.6f} (they may differ by {allowed:.1g} on this "
            "device): the corpus's store or the code has changed since; it is not promoted"
        )
    return {
        "list": facts,
        "condition": search.dev_condition,
        "recorded_eer": recorded,
        **pair_metrics.compute_error_rates(verdict),
    }


def _training_device(checkpoint_folder: Path) -> str:
    """Return the kind of device that wrote a checkpoint: `cpu` or `cuda`."""
    from spkmodel.core import checkpoint

    return str(checkpoint.read(checkpoint_folder).state["device"])


# --- test: evaluate once ---------------------------------------------------------------------


def _load_test_pairs(search: SearchSettings, store: "Store") -> PairList | None:
    """Load the corpus's test pairs, which are in no store and no ledger; None if it has none.

    Raises:
        UsageError: if the corpus is gone or is another one now.
    """
    folder = location.parse_location(search.corpus)
    if isinstance(folder, Path) and not folder.is_dir():
        raise UsageError(
            f"{folder}: the corpus of this search is not there; its test pairs are needed"
        )
    corpus = location.open_corpus_at(folder, search.seed, allow_overlap=True)
    if not corpus.test_pairs:
        return None
    known = set(store.of_split("test"))
    for pair in corpus.test_pairs:
        if not {pair.enrolment, pair.test} <= known:
            raise UsageError(
                f"{folder}: {pair.enrolment} or {pair.test} of the test pairs was not there when "
                "the search began; promote with the corpus as it was"
            )
    name = corpus.test_list.name if corpus.test_list else "test pairs"
    return PairList.from_pairs(name, corpus.test_pairs, store)


def _evaluate_on_test(
    model: "Model",
    tested: PairList,
    search: SearchSettings,
    store: "Store",
    device: str,
    display: Display,
) -> list[PairEvaluation]:
    by_default = verifier.make_default_verifier(model.encoder, device)
    recordings = Recordings(*stores.noise_and_rooms(search))
    return [
        pair_metrics.evaluate_pairs(by_default, store, tested, each, recordings, display)
        for each in CONDITIONS
    ]


def _test_document(
    ledger: Ledger,
    tested: PairList | None,
    evaluated: list[PairEvaluation],
    store: "Store",
    sha256: str,
    threshold: float,
) -> dict[str, Any] | None:
    from spkmodel.verification import metrics

    if tested is None:
        return None
    conditions = {}
    for each in evaluated:
        miss, false_alarm = metrics.rates_at(each.scores, each.targets, threshold)
        rates = {"threshold": threshold, "miss": miss, "false_alarm": false_alarm}
        conditions[each.condition] = each.numbers | {"at_dev_threshold": rates}
    before, _ = access_record.count_accesses_before(ledger, tested.sha256, sha256, CONDITIONS[-1])
    return {"list": tested.facts(store), "looks": before, "conditions": conditions}


def _utterance_seconds(store: "Store", tested: PairList | None) -> dict[str, float]:
    """Return the seconds of the shortest, median and longest utterance of the evaluation."""
    import numpy as np

    utterances = store.of_split("dev") if tested is None else tested.utterances
    seconds = [store.seconds(utterance) for utterance in utterances]
    low, median, high = (float(np.quantile(seconds, q)) for q in (0, 0.5, 1))
    return {"low": low, "median": median, "high": high}
