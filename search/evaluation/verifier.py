"""Embed utterances and score pairs by one protocol, score normalisation included."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.errors import UsageError
from search.core.progress import Display
from search.evaluation.pair_list import PairList
from search.evaluation.protocol import DEFAULT, TOP, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from spkmodel.data.crops import Crops
    from spkmodel.data.store import Store
    from spkmodel.verification.back_end import BackEnd
    from spkmodel.verification.embed_and_score import Verdict


@dataclass(frozen=True)
class TrainingStatistics:
    """The utterances that back-end and score normalisation are fitted on before scoring."""

    mean_from: tuple[str, ...] = ()
    cohort_from: tuple[str, ...] = ()
    of_speakers: bool = True
    """Whether a member of the cohort is a speaker, not an utterance."""
    top: int = 0
    cohort_name: str = ""

    @property
    def utterances(self) -> list[str]:
        """All of them, each once."""
        return list(dict.fromkeys([*self.mean_from, *self.cohort_from]))


@dataclass(frozen=True, eq=False)
class Verifier:
    """An encoder that embeds and scores by one protocol."""

    encoder: "torch.nn.Module"
    device: str
    crops: "Crops | None"
    back_end: "BackEnd"
    scoring: str
    """A description of what a score is."""
    learnt: dict[str, Any] = field(default_factory=dict)
    """What was fitted, for a report."""

    def score_pairs(
        self, store: "Store", pairs: PairList, what: str, display: Display
    ) -> "Verdict":
        """Embed the utterances of pairs from a store, score the pairs, compute the error rates."""
        from spkmodel.verification import embed_and_score

        embeddings = embed(self, store, pairs.utterances, what, display)
        return embed_and_score.evaluate_embeddings(
            embeddings, pairs.pairs, store.speaker, score=self.back_end.score
        )


def make_default_verifier(encoder: "torch.nn.Module", device: str) -> Verifier:
    """Return a verifier by the default protocol."""
    from spkmodel.verification.back_end import BackEnd

    return Verifier(encoder, device, None, BackEnd(), DEFAULT.describe())


def embed(
    verifier: Verifier, store: "Store", utterances: Sequence[str], what: str, display: Display
) -> "Mapping[str, Tensor]":
    """Return the embeddings of utterances, or of their crops."""
    from spkmodel.verification import embed_and_score

    with display.task(what, "utterances") as progress:
        return embed_and_score.embed(
            verifier.encoder, store, utterances, verifier.device, progress, verifier.crops
        )


# --- back-end and score normalisation ---------------------------------------------------------


def plan_statistics(
    protocol: Protocol, store: "Store", corpus: Path, lists: Sequence[PairList]
) -> TrainingStatistics:
    """Choose the utterances to fit on, and refuse what cannot work, before anything is embedded.

    Args:
        protocol: what was asked for.
        store: of the corpus.
        corpus: its folder, where a cohort's list is looked for too.
        lists: the pairs that will be scored.

    Raises:
        UsageError: if there is nothing to fit on, or the cohort has speakers of the pairs.
        ListError: for a wrong line of the cohort's list.
    """
    crops = protocol.make_crops()
    if crops is not None:
        _require_long_enough(protocol, store, lists)
    mean_from = tuple(_list_training(store, "--subtract-mean")) if protocol.subtract_mean else ()
    if protocol.norm == "none":
        return TrainingStatistics(mean_from)
    if protocol.cohort is None:
        cohort, name = _list_training(store, f"--norm {protocol.norm}"), "the training list"
    else:
        cohort, name = _read_cohort(protocol.cohort, corpus, store), protocol.cohort.name
    speakers = {store.speaker(utterance) for utterance in cohort}
    for listed in lists:
        # A cohort with a speaker of the pairs would distort that speaker's scores.
        _require_strangers(name, speakers, listed, store)
    of_speakers = protocol.cohort is None
    members = len(speakers) if of_speakers else len(cohort)
    top = min(TOP, members) if protocol.top is None else protocol.top
    if not 2 <= top <= members:
        raise UsageError(
            f"--top {top}: the cohort of {name} has {members} "
            f"{'speakers' if of_speakers else 'utterances'}; take 2 to {members}"
        )
    return TrainingStatistics(mean_from, tuple(cohort), of_speakers, top, name)


def _list_training(store: "Store", flag: str) -> list[str]:
    training = store.of_split("train")
    if not training:
        raise UsageError(f"{flag} learns from the training list, and this corpus has none")
    return training


def _read_cohort(path: Path, corpus: Path, store: "Store") -> list[str]:
    """Return the utterances of a cohort's list: `<path>` or `<speaker> <path>` a line."""
    from spkmodel.data.lists import ListError, numbered_lines

    found = path if path.is_file() else corpus / path
    if not found.is_file():
        raise UsageError(f"--cohort: no list {path}, neither here nor in {corpus}")
    known = set(store.ids)
    utterances: dict[str, int] = {}
    for number, line in numbered_lines(found):
        *speakers, utterance = line.split()
        if len(speakers) > 1:
            raise ListError(
                found, number, "a line of a cohort is '<path>', or '<speaker> <path>' as for "
                "training",
            )  # fmt: skip
        if utterance not in known:
            raise ListError(found, number, f"{utterance} is not an utterance of the corpus")
        if speakers and speakers[0] != store.speaker(utterance):
            raise ListError(
                found, number, f"{utterance} is of speaker {store.speaker(utterance)} in the corpus"
            )
        if utterance in utterances:
            raise ListError(
                found, number, f"{utterance} is already on line {utterances[utterance]}"
            )
        utterances[utterance] = number
    return list(utterances)


def _require_strangers(name: str, speakers: set[str], listed: PairList, store: "Store") -> None:
    shared = sorted(speakers & {store.speaker(utterance) for utterance in listed.utterances})
    if shared:
        some = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
        raise UsageError(
            f"the cohort of {name} and the pairs of {listed.name} share {len(shared)} speakers "
            f"({some}): scores would be measured by the very voices they are of; give a --cohort "
            "of others"
        )


def _require_long_enough(protocol: Protocol, store: "Store", lists: Sequence[PairList]) -> None:
    from spkmodel.data.audio import SAMPLE_RATE

    crops = protocol.make_crops()
    assert crops is not None
    for listed in lists:
        longest = max(store.seconds(utterance) for utterance in listed.utterances)
        if longest < crops.samples / SAMPLE_RATE:
            raise UsageError(
                f"crops of {crops.seconds:g} s: no utterance of {listed.name} is as long "
                f"(the longest has {longest:.2f} s), so that all {protocol.crops} crops would be "
                "one repeated sound; take shorter crops, or none"
            )


def fit_verifier(
    encoder: "torch.nn.Module",
    device: str,
    protocol: Protocol,
    statistics: TrainingStatistics,
    store: "Store",
    display: Display,
) -> Verifier:
    """Embed the utterances to fit on, as recorded, and return the fitted verifier."""
    from spkmodel.verification import back_end as fit

    crops = protocol.make_crops()
    # What is fitted on is embedded by the same crops as the pairs.
    unfitted = Verifier(encoder, device, crops, fit.BackEnd(protocol.backend), protocol.describe())
    if not statistics.utterances:
        return unfitted
    known = embed(unfitted, store, statistics.utterances, "embedding what is learnt from", display)
    mean = cohort = None
    learnt: dict[str, Any] = {}
    scoring = [protocol.describe()]
    if statistics.mean_from:
        mean = fit.mean_of({name: known[name] for name in statistics.mean_from})
        learnt["mean_of_utterances"] = len(statistics.mean_from)
        scoring.append("the training list's mean embedding subtracted (back-end training)")
    if statistics.cohort_from:
        of_cohort = {name: known[name] for name in statistics.cohort_from}
        if statistics.of_speakers:
            cohort = fit.speaker_cohort(of_cohort, store.speaker, mean)
        else:
            cohort = fit.utterance_cohort(of_cohort, mean)
        learnt["cohort"] = {
            "of": statistics.cohort_name,
            "members_are": "means of speakers" if statistics.of_speakers else "utterances",
            "members": len(cohort),
            "utterances": len(of_cohort),
            "top": statistics.top,
            "ddof": 0,
            "condition": "clean",
        }
        scoring.append(_describe_norm(protocol, statistics, len(cohort)))
    back_end = fit.BackEnd(protocol.backend, mean, cohort, statistics.top, protocol.selection())
    return Verifier(encoder, device, crops, back_end, "; ".join(scoring), learnt)


def _describe_norm(protocol: Protocol, statistics: TrainingStatistics, members: int) -> str:
    name, whose = {
        "own": ("AS-norm1", "its own"),
        "cross": ("AS-norm2", "the other side's"),
    }[protocol.selection()]
    what = "speakers' means" if statistics.of_speakers else "utterances"
    return (
        f"{name}: each side by {whose} nearest {statistics.top} of {members} {what} of "
        f"{statistics.cohort_name} as recorded, deviation with ddof 0"
    )
