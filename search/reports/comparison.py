"""Compare models on the same pairs: paired differences, and what differs in their configs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.config_differences import flatten
from search.core.errors import UsageError
from search.core.progress import Display, Silent
from search.data import location
from search.data.noise_and_rooms import find_recordings
from search.evaluation import access_record, corpus_store, pair_evaluation, pair_list, verifier
from search.evaluation.baseline_cache import Recordings
from search.evaluation.evaluate import choose_device, describe_origin
from search.evaluation.pair_list import PairList
from search.evaluation.protocol import DEFAULT
from search.evaluation.search_stores import noise_and_rooms, open_dev_store, open_store
from search.ledger.settings import SearchSettings
from search.reports.contestants import Contestant, find_contestants
from search.reports.scored_model import ScoredModel, sides_of

if TYPE_CHECKING:
    from spkmodel.augment.conditions import Condition
    from spkmodel.data.store import Store

MOST = 5
"""Models that are compared at once: their curves must be told apart."""


@dataclass(frozen=True)
class Difference:
    """Two models on the same pairs; rates are fractions."""

    first: str
    second: str
    difference: float
    """EER of the first minus that of the second."""
    low: float | None
    high: float | None
    probability: float | None
    """That the first has the lower EER over all speakers there could be."""
    speakers: int
    why_no_interval: str

    @property
    def verdict(self) -> str:
        """Which one is better, or that the pairs do not decide it."""
        if self.low is None or self.high is None:
            return "cannot be decided"
        if self.high < 0:
            return f"{self.first} is better"
        return f"{self.second} is better" if self.low > 0 else "not decided"


@dataclass(frozen=True)
class ComparisonResult:
    """The models with their scores, their differences, and where their configs differ."""

    contestants: tuple[Contestant, ...]
    models: tuple[ScoredModel, ...]
    differences: tuple[Difference, ...]
    """Of every two."""
    configs: tuple[tuple[str, tuple[Any, ...]], ...]
    """Dotted keys in which configs differ, with each model's value; None: it has none."""

    def document(self) -> dict[str, Any]:
        """Return the comparison as `spksearch compare --json` prints it."""
        names = ("eer", "eer_low", "eer_high", "speakers", "min_dcf_p01", "min_dcf_p05", "min_cllr")
        return {
            "list": self.models[0].listed,
            "condition": self.models[0].condition,
            "models": [
                {"name": m.name, "axes": c.axes, **{key: m.numbers[key] for key in names}}
                for c, m in zip(self.contestants, self.models, strict=True)
            ],
            "differences": [
                {**{name: getattr(each, name) for name in Difference.__dataclass_fields__},
                 "verdict": each.verdict} for each in self.differences
            ],
            "configs": [{"key": key, "values": list(values)} for key, values in self.configs],
        }  # fmt: skip


def compare(
    asked: Sequence[str],
    corpus: Path | str | None = None,
    pairs: Path | None = None,
    condition: "Condition | None" = None,
    *,
    noise: Path | None = None,
    rooms: Path | None = None,
    tracking_uri: str | None = None,
    display: Display | None = None,
) -> ComparisonResult:
    """Score models on the same pairs, by default the dev pairs of their search, and compare them.

    Scores that a folder of an evaluation holds are taken as they are. Test pairs are counted in the
    ledger of each model's search, as `evaluate` counts them.

    Args:
        asked: at least two: searches (by their best trials), trials, models, folders.
        corpus: of `pairs`; by default that of the searches.
        pairs: a list; by default the dev pairs.
        condition: how the utterances sound; by default as in the search, and clean with `pairs`.
        noise: ambiences for conditions that need them.
        rooms: room responses for them.
        tracking_uri: of the registry, for `models:/...`.
        display: shows the progress.

    Raises:
        UsageError: fewer than two, more than `MOST`, or nothing that all can be scored on.
        NotFound, NoUsableTrial: as `evaluate`.
    """
    display, device = display or Silent(), choose_device()
    if len(asked) < 2:
        raise UsageError("compare takes at least two searches, trials, models or evaluations")
    contestants = find_contestants(list(asked), device, tracking_uri)
    if len(contestants) > MOST:
        raise UsageError(f"{len(contestants)} models; at most {MOST} can be compared at once")
    if all(each.scored is not None for each in contestants):
        models = [each.scored for each in contestants if each.scored is not None]
    else:
        task = _plan(contestants, corpus, pairs, condition, (noise, rooms), display)
        _require_same_pairs(task, contestants)
        models = [_score(task, each, device, display) for each in contestants]
    return compare_models(contestants, models)


# --- the pairs --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """The pairs to score, as they sound."""

    store: "Store"
    heard: "Store"
    listed: PairList
    condition: "Condition"


def _plan(
    contestants: Sequence[Contestant],
    corpus: Path | str | None,
    pairs: Path | None,
    condition: "Condition | None",
    sounds: tuple[Path | None, Path | None],
    display: Display,
) -> _Task:
    settings = _common_settings(contestants, alone=corpus is not None and pairs is not None)
    if pairs is None:
        if corpus is not None or condition is not None:
            raise UsageError("--corpus and --condition belong to --pairs FILE")
        assert settings is not None
        store = open_store(settings, display)
        listed = PairList.from_pairs("dev pairs", store.dev_pairs, store)
        return _Task(
            store, open_dev_store(settings, store, display), listed, settings.dev_condition
        )
    if corpus is None:
        assert settings is not None
        corpus = location.parse_location(settings.corpus)
        own = noise_and_rooms(settings)
        sounds = sounds[0] or own[0], sounds[1] or own[1]
    with location.open_lists(corpus) as lists:
        store = corpus_store.open_store(corpus, display, pair_list.find_list(pairs, lists))
        listed = pair_list.read_list(pairs, lists, store)
    wanted = condition or "clean"
    recordings = Recordings(
        find_recordings(sounds[0], "noise", corpus), find_recordings(sounds[1], "rooms", corpus)
    )
    heard = pair_evaluation.apply_condition(store, listed, wanted, recordings, display)
    return _Task(store, heard, listed, wanted)


def _common_settings(contestants: Sequence[Contestant], *, alone: bool) -> SearchSettings | None:
    """Return the settings of the searches, which must share corpus and dev pairs.

    Raises:
        UsageError: if they do not, or there is no search, and the pairs are not named.
    """
    if alone:
        return None
    settings = [each.settings for each in contestants if each.settings is not None]
    say = "name what to score them on: --corpus DIR --pairs FILE"
    if not settings:
        raise UsageError(f"none of these models is of a search in this home; {say}")
    first = settings[0]
    for each, other in ((c.name, c.settings) for c in contestants):
        if other is None:
            continue
        if other.corpus_sha256 != first.corpus_sha256:
            raise UsageError(
                f"{each} was trained on another corpus than {contestants[0].name}; {say}"
            )
        if other.dev_condition != first.dev_condition:
            raise UsageError(
                f"{each} was chosen on {other.dev_condition} dev pairs, {contestants[0].name} on "
                f"{first.dev_condition} ones; {say}"
            )
    return first


# --- scores -----------------------------------------------------------------------------------


def _require_same_pairs(task: _Task, contestants: Sequence[Contestant]) -> None:
    for each in contestants:
        if each.scored is not None and each.scored.listed["sha256"] != task.listed.sha256:
            raise UsageError(
                f"{each.name} was evaluated on {each.scored.listed['name']}, which has other pairs "
                f"than {task.listed.name}; name one list for all: --corpus DIR --pairs FILE"
            )


def _score(task: _Task, contestant: Contestant, device: str, display: Display) -> ScoredModel:
    """Score the pairs with one model, or take the scores that are there."""
    if contestant.scored is not None:
        return contestant.scored
    model = contestant.model
    assert model is not None
    with access_record.open_access(model, task.listed, task.condition, DEFAULT) as access:
        judge = verifier.make_default_verifier(model.encoder, device)
        verdict = judge.score_pairs(
            task.heard, task.listed, f"embedding, {contestant.name}", display
        )
        numbers = pair_evaluation.compute_error_rates(verdict) | {
            "condition": task.condition, "floors": [],
        }  # fmt: skip
        facts = {
            "model": model.facts(),
            "list": task.listed.facts(task.store),
            "corpus_sha256": task.store.sha256,
            "looks": access.before,
            **describe_origin(device, DEFAULT.describe()),
            **numbers,
        }
        access.record(facts)
    speakers = _speakers(task)
    return ScoredModel(
        contestant.name, task.condition, sides_of(task.listed.pairs), verdict.scores,
        verdict.targets, numbers, facts["list"], speakers, facts=facts,
    )  # fmt: skip


def _speakers(task: _Task) -> Any:
    import numpy as np

    return tuple(
        np.array([task.store.speaker(utterance) for utterance in side])
        for side in (
            [pair.enrolment for pair in task.listed.pairs],
            [pair.test for pair in task.listed.pairs],
        )
    )


def compare_models(
    contestants: Sequence[Contestant], models: Sequence[ScoredModel]
) -> ComparisonResult:
    """Compare models whose scores are there; see `compare`."""
    if len(models) < 2:
        raise UsageError("there is only one model to compare")
    first = models[0]
    if first.speakers is None:
        raise UsageError(
            f"{first.name}: its corpus is not packed in this home, so it is not known which "
            "speakers its pairs are of; run `spksearch corpus pack DIR`"
        )
    aligned = [replace(m, scores=m.in_order_of(first), targets=first.targets, pairs=first.pairs,
                       speakers=first.speakers)
               for m in models]  # fmt: skip
    differences = tuple(_difference(one, other) for one, other in combinations(aligned, 2))
    return ComparisonResult(
        tuple(contestants), tuple(aligned), differences, tuple(_config_rows(contestants))
    )


def _difference(one: ScoredModel, other: ScoredModel) -> Difference:
    from spkmodel.verification import intervals

    assert one.speakers is not None
    found = intervals.compare_eers(one.scores, other.scores, one.targets, *one.speakers)
    return Difference(
        one.name, other.name, found.difference, found.interval.low, found.interval.high,
        found.first_is_lower, found.interval.speakers, found.interval.why_not,
    )  # fmt: skip


def _config_rows(contestants: Sequence[Contestant]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the keys in which known configs differ; a model without a config has no value."""
    known = [flatten(each.config) if each.config is not None else {} for each in contestants]
    keys = dict.fromkeys(key for config in known for key in config)
    rows = [(key, tuple(config.get(key) for config in known)) for key in keys]
    told = [place for place, each in enumerate(contestants) if each.config is not None]
    return [row for row in rows if len({repr(row[1][place]) for place in told}) > 1]
