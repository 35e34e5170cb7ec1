"""What a list of pairs says of a model: error rates, beside systems without a network.

Used by `evaluate` and `promote`; both write the same pictures and score files.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from search import figures
from search.errors import UsageProblem
from search.live import Display
from spkmodel.lists import Pair

if TYPE_CHECKING:
    import torch

    from spkmodel.conditions import Condition
    from spkmodel.floors import Floor
    from spkmodel.store import Store
    from spkmodel.surroundings import Split
    from spkmodel.validate import Verdict

REPLICATES = 2000
"""Bootstrap replicates of a published interval."""
SCORING = "cosine of the embeddings of whole utterances"
_SPLITS: "tuple[Split, ...]" = ("test", "dev", "train")
DEFINITIONS = (
    "Rates are fractions. eer: linear interpolation on the ROC, ties merged; eer_clova: nearest "
    "point, the larger of both rates; eer_rocch: on the ROC convex hull. Interval: 95 %, bootstrap "
    "over speakers, 2,000 replicates. min_dcf: normalised, unit costs. A pair is accepted if its "
    "score is at least the threshold."
)


@dataclass(frozen=True)
class PairList:
    """Pairs with what identifies their list."""

    name: str
    pairs: tuple[Pair, ...]
    split: "Split | Literal['']"
    """train, dev or test: of all its utterances; empty where they are of several."""

    @property
    def sha256(self) -> str:
        """Of the pairs written one a line, so that two spellings of a list have one hash."""
        lines = (f"{int(pair.target)} {pair.enrolment} {pair.test}\n" for pair in self.pairs)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def utterances(self) -> list[str]:
        """Each once, in order of first appearance."""
        return list(dict.fromkeys(u for pair in self.pairs for u in (pair.enrolment, pair.test)))

    def facts(self, store: "Store") -> dict[str, Any]:
        """Name, hash and counts, for a report."""
        targets = sum(pair.target for pair in self.pairs)
        utterances = self.utterances
        return {
            "name": self.name,
            "sha256": self.sha256,
            "split": self.split,
            "pairs": len(self.pairs),
            "targets": targets,
            "non_targets": len(self.pairs) - targets,
            "speakers": len({store.speaker(utterance) for utterance in utterances}),
            "utterances": len(utterances),
        }


@dataclass(frozen=True)
class Judgement:
    """One condition's figures and the scores they come from."""

    condition: str
    numbers: dict[str, Any]
    """What goes into the report."""
    scores: np.ndarray
    targets: np.ndarray
    floors: "tuple[Floor, ...]"

    def curve(self) -> figures.Curve:
        """What the pictures show."""
        numbers = self.numbers
        return figures.Curve(
            name=self.condition,
            scores=self.scores,
            targets=self.targets,
            eer=numbers["eer"],
            low=numbers["eer_low"],
            high=numbers["eer_high"],
            threshold=numbers["threshold"],
            floors=tuple(
                figures.Floor(floor.name.partition(" (")[0], floor.eer, np.asarray(floor.scores))
                for floor in self.floors
            ),
        )


def pair_list(name: str, pairs: Sequence[Pair], store: "Store") -> PairList:
    """A list whose utterances are all in `store`."""
    utterances = {utterance for pair in pairs for utterance in (pair.enrolment, pair.test)}
    for split in _SPLITS:
        if utterances <= set(store.of_split(split)):
            return PairList(name, tuple(pairs), split)
    return PairList(name, tuple(pairs), "")


def judge(
    encoder: "torch.nn.Module",
    store: "Store",
    pairs: PairList,
    condition: "Condition",
    noise: Path | None,
    rooms: Path | None,
    device: str,
    display: Display,
) -> Judgement:
    """Embed the utterances as they sound in `condition`, score the pairs, compute the floors."""
    from spkmodel import floors, validate

    began = time.monotonic()
    heard = sounding(store, pairs, condition, noise, rooms, display)
    with display.task(f"embedding, {condition}", "utterances") as progress:
        embeddings = validate.embed(encoder, heard, pairs.utterances, device, progress)
    verdict = validate.judge(embeddings, pairs.pairs, store.speaker, REPLICATES)
    with display.task(f"floors, {condition}", "utterances") as progress:
        found = tuple(
            floors.compute(store, heard, pairs.pairs, condition, noise, rooms, progress=progress)
        )
    numbers = figures_of(verdict) | {
        "condition": condition,
        "surroundings": "" if condition == "clean" else _fingerprint(noise, rooms),
        "floors": [_floor(floor, verdict.targets) for floor in found],
        "seconds": round(time.monotonic() - began, 2),
    }
    return Judgement(condition, numbers, verdict.scores, verdict.targets, found)


def sounding(
    store: "Store",
    pairs: PairList,
    condition: "Condition",
    noise: Path | None,
    rooms: Path | None,
    display: Display,
) -> "Store":
    """The store of the same utterances in a condition, with the surroundings of their split.

    Raises:
        UsageProblem: if the pairs mix splits, so that no split's surroundings are theirs.
    """
    from spkmodel import conditions

    if condition == "clean":
        return store
    if pairs.split != "dev" and pairs.split != "test":
        raise UsageProblem(
            f"{pairs.name}: the {condition} condition needs pairs of dev utterances only, or of "
            f"test utterances only (each has its own ambiences and rooms), but these are of "
            f"{pairs.split or 'several splits'}; use --condition clean, or another list"
        )
    with display.task(f"putting utterances into the {condition} condition", "utterances") as report:
        return conditions.conditioned_store(store, pairs.split, condition, noise, rooms, report)


def write_pictures(
    folder: Path, judgements: Sequence[Judgement], title: str, facts: Mapping[str, Any]
) -> None:
    """`det.png` and `histogram.png`."""
    subtitle = counts(facts)
    curves = [judgement.curve() for judgement in judgements]
    figures.draw_det(folder / "det.png", curves, title, subtitle)
    figures.draw_histogram(folder / "histogram.png", curves, title, subtitle)


def write_scores(path: Path, pairs: Sequence[Pair], scores: np.ndarray) -> None:
    """`<label> <enrolment> <test> <score>` a line; the score reads back as the same number."""
    lines = [
        f"{int(pair.target)} {pair.enrolment} {pair.test} {float(score)!r}\n"
        for pair, score in zip(pairs, scores, strict=True)
    ]
    path.write_text("".join(lines), encoding="utf-8")


def counts(facts: Mapping[str, Any]) -> str:
    """A list and its size, for people."""
    return (
        f"{facts['name']}: {facts['pairs']:,} pairs ({facts['targets']:,} target) of "
        f"{facts['speakers']:,} speakers, sha256 {facts['sha256'][:12]}"
    )


def lines_of(numbers: Mapping[str, Any]) -> list[str]:
    """One condition's figures for people: the network, then what it has to beat."""
    percent = figures.percent
    head = (
        f"{numbers['condition']}: EER {percent(numbers['eer'])} (95 %: "
        f"{percent(numbers['eer_low'])} to {percent(numbers['eer_high'])})  minDCF .01 "
        f"{numbers['min_dcf_p01']:.3f}  .05 {numbers['min_dcf_p05']:.3f}  threshold "
        f"{numbers['threshold']:.4f}"
    )
    return [head, *(f"  {f['name']}: EER {percent(f['eer'])}" for f in numbers["floors"])]


def figures_of(verdict: "Verdict") -> dict[str, Any]:
    """The error rates and the threshold, under their names in a report."""
    from spkmodel import metrics

    scores, targets = verdict.scores, verdict.targets
    return {
        "eer": verdict.eer,
        "eer_low": verdict.low,
        "eer_high": verdict.high,
        "eer_clova": metrics.eer_clova(scores, targets),
        "eer_rocch": metrics.eer_rocch(scores, targets),
        "min_dcf_p01": verdict.min_dcf_p01,
        "min_dcf_p05": verdict.min_dcf_p05,
        "threshold": verdict.threshold,
    }


def _floor(floor: "Floor", targets: np.ndarray) -> dict[str, Any]:
    from spkmodel import metrics

    scores = np.asarray(floor.scores)
    return {
        "name": floor.name,
        "eer": floor.eer,
        "eer_low": floor.low,
        "eer_high": floor.high,
        "min_dcf_p01": metrics.min_dcf(scores, targets, p_target=0.01),
        "min_dcf_p05": metrics.min_dcf(scores, targets, p_target=0.05),
    }


def _fingerprint(noise: Path | None, rooms: Path | None) -> str:
    from spkmodel.surroundings import fingerprint

    return fingerprint(noise, rooms)
