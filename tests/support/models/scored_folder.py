"""Models and folders of evaluations whose scores are drawn, not computed."""

import json
from itertools import combinations

import numpy as np

from search.reports.scored_model import ScoredModel, sides_of
from spkmodel.data.lists import Pair
from spkmodel.verification import calibration, intervals, metrics


def pairs_of(speakers=12, utterances=4):
    """Every pair of utterances of so many speakers."""
    names = [f"s{s:02d}/{u}.wav" for s in range(speakers) for u in range(utterances)]
    return tuple(Pair(a.split("/")[0] == b.split("/")[0], a, b) for a, b in combinations(names, 2))


def scored_model(name="night/t0001", gain=2.0, seed=0, pairs=None, shared=None, **facts):
    """A model whose target scores are `gain` deviations higher; `shared` noise is of the pairs."""
    pairs = pairs_of() if pairs is None else pairs
    targets = np.array([pair.target for pair in pairs])
    noise = np.random.default_rng(seed).normal(0, 1, len(pairs))
    noise = noise if shared is None else 0.3 * noise + shared
    scores = noise + gain * targets
    speakers = tuple(
        np.array([side.split("/")[0] for side in sides])
        for sides in zip(*sides_of(pairs), strict=True)
    )
    found = intervals.eer_interval(scores, targets, *speakers)
    listed = {
        "name": "pairs.txt", "sha256": "b" * 64, "split": "dev", "pairs": len(pairs),
        "targets": int(targets.sum()), "non_targets": int((~targets).sum()),
        "speakers": len(set(speakers[0].tolist())), "utterances": 48, "self_pairs": 0,
        "repeated_pairs": 0,
    }  # fmt: skip
    numbers = {
        "condition": "clean", "eer": metrics.eer(scores, targets), "eer_low": found.low,
        "eer_high": found.high, "speakers": found.speakers, "why_no_interval": found.why_not,
        "min_dcf_p01": metrics.min_dcf(scores, targets, 0.01),
        "min_dcf_p05": metrics.min_dcf(scores, targets, 0.05),
        "min_cllr": calibration.min_cllr(scores, targets),
        "threshold": metrics.threshold_at_eer(scores, targets), "floors": [],
    }  # fmt: skip
    document = {
        "schema": "spksearch.evaluation/2",
        "model": {"source": name, "sha256": "a" * 64, "encoder": "tdnn", "parameters": 1000,
                  "search": "night", "trial": "t0001", "epoch": 3, "notes": []},
        "list": listed, "corpus_sha256": "c" * 64, "looks": 0, "scoring": "cosine",
        "device": "cpu", "time": "2026-12-01T00:00:00+00:00", "versions": {"torch": "2.11.0"},
        "calibration": None, "by": [], "worst_speakers": None,
    }  # fmt: skip
    facts = document | numbers | facts
    return ScoredModel(
        name, "clean", sides_of(pairs), scores, targets, facts, listed, speakers, facts=facts
    )


def write_folder(folder, model):
    """Write what `evaluate` would have written of these scores."""
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(model.facts))
    rows = zip(model.targets.tolist(), model.pairs, model.scores.tolist(), strict=True)
    lines = (f"{int(target)} {one} {other} {score!r}\n" for target, (one, other), score in rows)
    (folder / "scores.txt").write_text("".join(lines))
    return folder
