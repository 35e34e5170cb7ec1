"""Prepare a search: check its corpus against its space, pack it, decide all settings."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from search.core.errors import UsageError
from search.core.paths import home, ledger_path, make_home, search_folder
from search.data import location
from search.launch.open_search import read_state
from search.launch.settings import (
    OBJECTIVES,
    LaunchRequest,
    decide,
    dev_condition,
    surroundings_folders,
    warm_start_trials,
)
from search.ledger.ledger import Ledger
from search.ledger.queue import DEFAULT_KEY, DEFAULT_ORIGIN, QueuedTrial
from search.ledger.settings import SearchSettings
from search.reporting import snapshot
from search.reporting.formatting import format_axes
from search.sampler import prior_sources, sampler
from search.sampler.prior_sources import WarmStart
from search.space import loader
from search.space.default_point import find_default_point
from spkmodel.config import TrainConfig
from spkmodel.core.shell import quote_path

if TYPE_CHECKING:
    from search.core.progress import Display
    from spkmodel.data.corpus import Corpus


def open_checked_corpus(
    request: LaunchRequest,
    branches: list[loader.Branch],
    before: SearchSettings | None,
    default: QueuedTrial | None = None,
) -> "Corpus":
    """Open the corpus, and check every branch of the space, and its default, against it."""
    from spkmodel.training.epoch_plan import batches_in_epoch

    seed = request.seed if request.seed is not None else (before.seed if before else 0)
    corpus = location.open_corpus_at(request.corpus, seed, request.allow_overlap)
    counts: dict[str, int] = {}
    for entry in corpus.train:
        counts[entry.speaker] = counts.get(entry.speaker, 0) + 1
    most = sorted(counts.values(), reverse=True)
    checked = [(_format_choices(branch.choices), branch.config) for branch in branches]
    if default is not None:
        chosen = "the default configuration, which --no-default-trial leaves out: "
        chosen += _format_choices(default.axes)
        checked.append((chosen, TrainConfig.model_validate(default.config)))
    needed = max((config.longest_read_seconds for _, config in checked), default=0.0)
    longest = location.find_longest_seconds(request.corpus, corpus, enough=needed)
    for chosen, config in checked:
        try:
            config.check_corpus(most, longest)
            config.check_epoch(batches_in_epoch(most, config.batches))
        except ValueError as error:
            raise UsageError(
                f"space {request.space} does not fit corpus {request.corpus}: with {chosen}: "
                f"{error}{_where_to_change(request.space)}"
            ) from error
    return corpus


def _format_choices(answers: Mapping[str, Any]) -> str:
    return ", ".join(f"{axis}={choice}" for axis, choice in answers.items())


def _where_to_change(space: str) -> str:
    """Return where the batches of a space are written; nothing for a replay, which has no file."""
    if space not in loader.available() and not space.endswith(".py"):
        return ""
    path = quote_path(loader.load(space).path)
    return f"\nthe space is {path}; change a copy of it, and launch the copy"


def warn_of_dev_pairs(corpus: "Corpus") -> list[str]:
    """Return a warning for each reason why dev EERs will say less than they seem to."""
    from spkmodel.core.least_speakers import LEAST_SPEAKERS_OF_AN_INTERVAL
    from spkmodel.data.lists import DEV_LIST
    from spkmodel.data.pair_evidence import describe_pairs_without_evidence

    warnings = describe_pairs_without_evidence(corpus.dev_pairs, DEV_LIST)
    speakers = len({corpus.speaker_of[path] for path in corpus.of_split("dev")})
    if speakers < LEAST_SPEAKERS_OF_AN_INTERVAL:
        warnings.append(
            f"the dev pairs are of {speakers} speakers: no interval is shown for dev EERs, which "
            f"needs {LEAST_SPEAKERS_OF_AN_INTERVAL}"
        )
    return [f"warning: {warning}" for warning in warnings]


def prepare_settings(
    request: LaunchRequest,
    before: SearchSettings | None,
    space: loader.Space,
    corpus: "Corpus",
    display: "Display",
    warm_start_sha256: str = "",
) -> SearchSettings:
    """Pack the corpus if it is not packed yet, and decide all settings."""
    from spkmodel.augment import conditions, noise_and_rooms
    from spkmodel.data.store import Store
    from spkmodel.data.store_writing import pack_corpus

    noise, rooms = surroundings_folders(request, before)
    condition = dev_condition(request, before)
    at_uri = None
    if isinstance(request.corpus, str):
        at_uri = location.fetch_store(request.corpus)
        packed = Store.open(at_uri.folder)
    else:
        make_home(say=display.print_line)
        with display.task("packing the corpus", "utterances") as progress:
            packed = Store.open(pack_corpus(corpus, home(), progress=progress))
    noise_rooms_fingerprint = noise_and_rooms.fingerprint(None, None)
    if noise is not None or rooms is not None:
        with display.task("packing noise and rooms", "files") as progress:
            noise_rooms_fingerprint = noise_and_rooms.fingerprint(noise, rooms, progress)
    with display.task(f"preparing the {condition} dev pairs", "utterances") as progress:
        dev = conditions.conditioned_store(packed, "dev", condition, noise, rooms, progress)
    return decide(
        request,
        before,
        space_name=space.name,
        space_sha256=space.sha256,
        corpus_sha256=packed.sha256,
        store=at_uri.uri if at_uri else packed.folder,
        store_sha256=at_uri.sha256 if at_uri else "",
        dev_store=at_uri.uri if at_uri and dev is packed else dev.folder,
        noise_rooms_fingerprint=noise_rooms_fingerprint,
        warm_start_sha256=warm_start_sha256,
    )


def read_prior(
    name: str, space: loader.Space, request: LaunchRequest, before: SearchSettings | None
) -> WarmStart | None:
    """Return the prior that a search begins with; None without one, or if it is recorded already.

    Raises:
        UsageError: nothing of the source lies in the space, or none is named.
        NotFound: there is no such search.
    """
    count = warm_start_trials(request, before)
    source = request.warm_start if before is None else before.warm_start
    if not source:
        return None
    if before is not None and Ledger.open(ledger_path(name)).state().prior is not None:
        return None
    return prior_sources.read_prior_source(
        source,
        space,
        count,
        name=name,
        seed=before.seed if before else request.seed or 0,
        objectives=before.objectives if before else request.objectives or OBJECTIVES[:1],
        read_state=read_state,
    )


def read_default_trial(
    space: loader.Space, request: LaunchRequest, before: SearchSettings | None
) -> QueuedTrial | None:
    """Return the trial of the default configuration; None if the search has none.

    Raises:
        UsageError: the space has no default point.
    """
    is_wanted = request.default_trial is not False if before is None else before.default_trial
    if not is_wanted:
        return None
    seed = before.seed if before else request.seed or 0
    point = sampler.complete_point(space, find_default_point(space), seed)
    return QueuedTrial(
        DEFAULT_KEY,
        point.config.model_dump(mode="json"),
        DEFAULT_ORIGIN,
        axes=point.axes,
        distributions=point.distributions,
    )


def describe_default_trial(default: QueuedTrial) -> str:
    """Return what the first trial is, for people."""
    return (
        f"the first trial is the default configuration: {format_axes(default.axes)} "
        "(--no-default-trial leaves it out)"
    )


def plan(
    name: str,
    space: loader.Space,
    request: LaunchRequest,
    before: SearchSettings | None,
    corpus: "Corpus",
    branches: list[loader.Branch],
    known: WarmStart | None = None,
    default: QueuedTrial | None = None,
) -> list[str]:
    """Describe what a launch would do."""
    settings = decide(
        request,
        before,
        space_name=space.name,
        space_sha256=space.sha256,
        corpus_sha256=before.corpus_sha256 if before else "",
        store=before.store if before else "",
        dev_store=before.dev_store if before else "",
        noise_rooms_fingerprint=before.surroundings if before else "",
        store_sha256=before.store_sha256 if before else "",
    )
    assert settings.trials is not None, "a launch has a budget of trials"
    expected = snapshot.estimate_epochs(
        settings.rungs, settings.eta, settings.trials, settings.finalists
    )
    resumed = f"goes on with {search_folder(name)}" if before else "new"
    return [
        f"search {name} ({resumed}): {space.question}",
        f"space {space.name}: {len(loader.describe(space))} axes, "
        f"{loader.format_extent(space, len(branches))}",
        f"corpus {request.corpus}: {len(corpus.of_split('train'))} training utterances of "
        f"{len({entry.speaker for entry in corpus.train})} speakers, {len(corpus.dev_pairs)} dev "
        f"pairs ({settings.dev_condition}), {len(corpus.test_pairs)} test pairs",
        f"{settings.trials} trials, rungs {'/'.join(map(str, settings.rungs))}, "
        f"{settings.rule}-type ASHA: about {expected} epochs in all, at most "
        f"{settings.trials * settings.max_epochs}",
        *warn_of_late_stages(branches, settings.max_epochs),
        *([describe_default_trial(default)] if default else []),
        *(known.format_lines() if known else []),
        "nothing was started or written; leave out --dry-run to launch",
    ]


def warn_of_late_stages(branches: list[loader.Branch], max_epochs: int) -> list[str]:
    """Warn of large-margin stages that begin after the last epoch there will be.

    It is no error: the search may be extended.
    """
    tunings = [branch.config.fine_tune for branch in branches]
    late = {each.from_epoch for each in tunings if each and each.from_epoch > max_epochs}
    if not late:
        return []
    return [
        f"no trial comes to its large-margin stage: fine_tune.from_epoch is {min(late)} or more "
        f"and a trial has at most {max_epochs} epochs; give --max-epochs {min(late)} or more, or "
        "let it begin earlier"
    ]
