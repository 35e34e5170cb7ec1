"""Read a prior from the log, or from an earlier search of the same or another corpus.

The points are written into the new search's ledger, so that the source is read only once: if it
grows or is removed afterwards, that changes nothing.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from search.core.errors import UsageError
from search.core.paths import existing_ledger
from search.ledger.events import Prior, PriorPoint
from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.sampler import sampler
from search.sampler.prior import QUEUE_KEY_PREFIX, select_diverse
from search.scheduler.policy import AshaPolicy
from search.scheduler.rung_queries import ranking
from search.space import loader, locate
from search.space.branches import Space
from search.space.locate import LocatedPoint
from spaces import logged
from spaces.logged import Entry, Notebook
from spkmodel.config import TrainConfig

LOGGED = "logged"

HEADS = ("116", "122", "125")
"""Entries at which the log's three branches worth going on with end."""

_SHOWN = 6
"""Names, and reasons, that a message lists."""


@dataclass(frozen=True)
class Candidate:
    """One entry or trial of the source, and where it lies in the space."""

    name: str
    point: LocatedPoint
    log_entry: str = ""
    may_be_tried_first: bool = True


@dataclass(frozen=True)
class WarmStart:
    """The prior of a search, and the trials that it is to try first."""

    prior: Prior
    sha256: str
    """Of the source."""
    queued: list[QueuedTrial]
    source_size: int
    """Number of entries or trials in the source."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Names of those that do not lie in the space, each with the reason."""

    def format_lines(self) -> list[str]:
        """Return a summary for people."""
        names = ", ".join(queued.origin for queued in self.queued) or "none"
        lines = [
            f"warm start from {self.prior.source}: {len(self.prior.points)} of {self.source_size} "
            f"lie in the space; tried first: {names}"
        ]
        counts = Counter(why for _, why in self.left_out)
        for why, _ in counts.most_common(_SHOWN):
            names = _format_names([name for name, reason in self.left_out if reason == why])
            lines.append(f"  left out: {names}: {why}")
        more = len(counts) - _SHOWN
        return [*lines, f"  left out for {more} more reasons"] if more > 0 else lines


def read_prior_source(
    source: str,
    space: Space,
    count: int,
    *,
    name: str,
    seed: int,
    objectives: Sequence[str],
    read_state: Callable[[str], SearchState],
) -> WarmStart:
    """Read a source, and return its points that lie in the space, best first.

    Args:
        source: `logged`, or the name of a search.
        space: in which its points must lie.
        count: how many are tried first.
        name: of the search that is about to begin.
        seed: of that search.
        objectives: of that search; an earlier search's trials are ranked by them.
        read_state: returns the state of an earlier search, by its name.

    Raises:
        NotFound: if there is no such search.
        UsageError: if nothing of it lies in the space.
    """
    left_out: list[tuple[str, str]] = []
    if source == LOGGED:
        notebook = logged.load_log()
        sha256 = hashlib.sha256(notebook.path.read_bytes()).hexdigest()
        found = list(_notebook_candidates(notebook, space, left_out))
        source_size = len(notebook.entries)
        if not found:
            raise UsageError(_format_nothing_in_log(notebook, space, left_out))
    elif source == name:
        raise UsageError(f"--warm-start {source}: a search cannot begin with itself")
    else:
        state = read_state(source)
        sha256 = hashlib.sha256(existing_ledger(source).read_bytes()).hexdigest()
        found = list(_search_candidates(source, state, space, objectives, left_out))
        source_size = len(state.trials)
        if not found:
            raise UsageError(_format_nothing_in_search(source, space, left_out))
    first = select_diverse([each for each in found if each.may_be_tried_first], count, _distance)
    prior = Prior(source, tuple(_to_prior_point(each, space) for each in found))
    queued = [_to_queued_trial(each, space, seed) for each in first]
    return WarmStart(prior, sha256, queued, source_size, left_out)


def _distance(first: Candidate, second: Candidate) -> float:
    return locate.distance(first.point, second.point)


def _to_prior_point(candidate: Candidate, space: Space) -> PriorPoint:
    known = candidate.point.axes
    made = sampler.complete_point(space, known, seed=0)
    return PriorPoint(candidate.name, known, {name: made.distributions[name] for name in known})


def _to_queued_trial(candidate: Candidate, space: Space, seed: int) -> QueuedTrial:
    made = sampler.complete_point(space, candidate.point.axes, seed)
    return QueuedTrial(
        key=f"{QUEUE_KEY_PREFIX}{candidate.name}",
        config=made.config.model_dump(mode="json"),
        origin=candidate.name,
        log_entry=candidate.log_entry,
        axes=made.axes,
        distributions=made.distributions,
    )


def _drop_misfits_and_duplicates(
    found: Iterator[Candidate], left_out: list[tuple[str, str]], space: Space
) -> Iterator[Candidate]:
    """Yield the candidates that lie in the space, and of equal points the first."""
    seen: dict[str, str] = {}
    for candidate in found:
        point = candidate.point
        key = json.dumps(point.axes, sort_keys=True)
        if point.misfits:
            more = f" and {len(point.misfits) - 1} more" if len(point.misfits) > 1 else ""
            left_out.append((candidate.name, f"{point.misfits[0]}{more}"))
        elif not point.axes:
            left_out.append((candidate.name, f"no axis of it is one of {space.name}'s"))
        elif key in seen:
            left_out.append((candidate.name, f"the same point as {seen[key]}"))
        else:
            seen[key] = candidate.name
            yield candidate


# --- a notebook ------------------------------------------------------------------------------


def _notebook_candidates(
    notebook: Notebook, space: Space, left_out: list[tuple[str, str]]
) -> Iterator[Candidate]:
    """Yield a notebook's entries, best first: an entry kept later is better than one kept before.

    An entry that was put aside is no better than the one it grew from, and comes right after that.
    The ends of the branches worth going on with count as kept.
    """
    path = {entry.number for head in HEADS for entry in notebook.path_to(head)}
    numbers = [entry.number for entry in notebook.entries]

    def worth(entry: Entry) -> float:
        if entry.kept or entry.number in HEADS or entry.stem is None:
            return numbers.index(entry.number)
        return numbers.index(entry.stem) - 0.5

    points = _locate_entries(notebook, space)

    def candidates() -> Iterator[Candidate]:
        for entry in sorted(notebook.entries, key=worth, reverse=True):
            if entry.warm_start is not None:
                why = "it starts from another entry's weights, which says little of its config"
                left_out.append((f"entry {entry.number}", why))
                continue
            is_first = entry.number in path and (entry.kept or entry.number in HEADS)
            name = f"entry {entry.number}"
            yield Candidate(name, points[entry.number], entry.number, is_first)

    return _drop_misfits_and_duplicates(candidates(), left_out, space)


def _locate_entries(notebook: Notebook, space: Space) -> dict[str, LocatedPoint]:
    """Return the point of each entry, searched from the point of the entry that it is based on."""
    points: dict[str, LocatedPoint] = {}
    for entry in notebook.entries:
        basis = points.get(entry.based_on or "")
        near = basis.axes if basis else None
        points[entry.number] = locate.locate_config(space, entry.config, near)
    return points


def _format_nothing_in_log(
    notebook: Notebook, space: Space, left_out: Sequence[tuple[str, str]]
) -> str:
    last = f"entry {HEADS[-1]}"
    why = next(why for name, why in left_out if name == last)
    config = notebook.entry(HEADS[-1]).config
    others = [
        name
        for name in loader.available()
        if name != space.name and not locate.locate_config(loader.load(name), config).misfits
    ]
    fitting = f"launch {' or '.join(others)}, which has it, or " if others else ""
    return (
        f"--warm-start logged: no entry of the log is a point of space {space.name!r} ({last}: "
        f"{why}); {fitting}name an earlier search of this space"
    )


# --- a search --------------------------------------------------------------------------------


def _search_candidates(
    source: str,
    state: SearchState,
    space: Space,
    objectives: Sequence[str],
    left_out: list[tuple[str, str]],
) -> Iterator[Candidate]:
    """Yield a search's trials, best first: by their highest rung, then by their result there."""
    policy = replace(AshaPolicy.from_settings(state.search), objectives=tuple(objectives))
    order = list(
        dict.fromkeys(
            name for rung in reversed(policy.rungs) for name in ranking(state, rung, policy)
        )
    )
    failed = [name for name, trial in state.trials.items() if _is_untrainable(trial, order)]
    for name in state.trials.keys() - {*order, *failed}:
        left_out.append((f"{source}/{name}", "it has no result at any rung"))
    make = partial(_to_candidate, source, space)
    found = [make(state.trials[name], may_be_tried_first=True) for name in order]
    found += [make(state.trials[name], may_be_tried_first=False) for name in failed]
    return _drop_misfits_and_duplicates(iter(found), left_out, space)


def _is_untrainable(trial: TrialRecord, order: Sequence[str]) -> bool:
    """Return whether the trial's config could not be trained; the prior then ranks it last."""
    verdict = trial.reason.startswith(("diverged", "collapsed"))
    return trial.trial not in order and trial.state == "failed" and verdict


def _to_candidate(
    source: str, space: Space, trial: TrialRecord, may_be_tried_first: bool
) -> Candidate:
    if trial.distributions:
        point = locate.locate_axes(space, trial.axes)
    else:
        # A trial of no space, such as a replayed entry, is found by its config.
        config: dict[str, Any] = {**trial.config, "warm_start": None}
        point = locate.locate_config(space, TrainConfig.model_validate(config))
    return Candidate(f"{source}/{trial.trial}", point, trial.log_entry, may_be_tried_first)


def _format_nothing_in_search(
    source: str, space: Space, left_out: Sequence[tuple[str, str]]
) -> str:
    why = Counter(why for _, why in left_out).most_common(1)
    reason = f"most often: {why[0][0]}" if why else "it has no trial"
    return (
        f"--warm-start {source}: none of its {len(left_out)} trials lies in space {space.name!r} "
        f"({reason}); axes are matched by name and range"
    )


def _format_names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
