"""Where a prior comes from: the log, or an earlier search of the same or another corpus.

What is taken is written into the new search's ledger, so that nothing is read twice: a source that
grows afterwards, or goes, changes nothing.
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
from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.sampler import sampler
from search.sampler.prior import KEY, Prior, PriorPoint, chosen
from search.scheduler.policy import AshaPolicy
from search.scheduler.rung_queries import ranking
from search.space import loader as spaces_there
from search.space import locate
from search.space.branches import Space
from search.space.locate import Place
from spaces import logged
from spaces.logged import Entry, Notebook
from spkmodel.config import TrainConfig

LOGGED = "logged"

HEADS = ("116", "122", "125")
"""Entries at which the log's three branches worth going on with end."""

_SHOWN = 6


@dataclass(frozen=True)
class Candidate:
    """One thing that the source knows, best first among its like."""

    name: str
    place: Place
    log_entry: str = ""
    may_be_first: bool = True


@dataclass(frozen=True)
class WarmStart:
    """What a search begins with."""

    prior: Prior
    sha256: str
    """Of the source."""
    wishes: list[QueuedTrial]
    known: int
    """How much the source knew."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """What does not lie in the space, and why."""

    def lines(self) -> list[str]:
        """For people."""
        names = ", ".join(wish.origin for wish in self.wishes) or "none"
        lines = [
            f"warm start from {self.prior.source}: {len(self.prior.points)} of {self.known} lie in "
            f"the space; tried first: {names}"
        ]
        counts = Counter(why for _, why in self.left_out)
        lines += [
            f"  left out: {_names([name for name, its in self.left_out if its == why])}: {why}"
            for why, _ in counts.most_common(_SHOWN)
        ]
        more = len(counts) - _SHOWN
        return [*lines, f"  left out for {more} more reasons"] if more > 0 else lines


def take(
    source: str,
    space: Space,
    count: int,
    *,
    name: str,
    seed: int,
    objectives: Sequence[str],
    read_state: Callable[[str], SearchState],
) -> WarmStart:
    """Read a source.

    Args:
        source: `logged`, or the name of a search.
        space: in which its points must lie.
        count: how many are tried first.
        name: of the search that is about to begin.
        seed: of that search.
        objectives: of that search; by them an earlier search's trials are ordered.
        read_state: returns the state of an earlier search, by its name.

    Raises:
        NotFound: if there is no such search.
        UsageError: if nothing of it lies in the space.
    """
    left_out: list[tuple[str, str]] = []
    if source == LOGGED:
        notebook = logged.load_log()
        sha256 = hashlib.sha256(notebook.path.read_bytes()).hexdigest()
        found, known = list(_of_notebook(notebook, space, left_out)), len(notebook.entries)
        if not found:
            raise UsageError(_nothing_of_the_log(notebook, space, left_out))
    elif source == name:
        raise UsageError(f"--warm-start {source}: a search cannot begin with itself")
    else:
        state = read_state(source)
        sha256 = hashlib.sha256(existing_ledger(source).read_bytes()).hexdigest()
        found, known = (
            list(_of_search(source, state, space, objectives, left_out)),
            len(state.trials),
        )
        if not found:
            raise UsageError(_nothing_of(source, space, left_out))
    first = chosen([each for each in found if each.may_be_first], count, _apart)
    prior = Prior(source, tuple(_point(each, space) for each in found))
    return WarmStart(prior, sha256, [_wish(each, space, seed) for each in first], known, left_out)


def _apart(one: Candidate, other: Candidate) -> float:
    return locate.distance(one.place, other.place)


def _point(candidate: Candidate, space: Space) -> PriorPoint:
    known = candidate.place.axes
    made = sampler.completed(space, known, seed=0)
    return PriorPoint(candidate.name, known, {name: made.distributions[name] for name in known})


def _wish(candidate: Candidate, space: Space, seed: int) -> QueuedTrial:
    made = sampler.completed(space, candidate.place.axes, seed)
    return QueuedTrial(
        key=f"{KEY}{candidate.name}",
        config=made.config.model_dump(mode="json"),
        origin=candidate.name,
        log_entry=candidate.log_entry,
        axes=made.axes,
        distributions=made.distributions,
    )


def _once(
    found: Iterator[Candidate], left_out: list[tuple[str, str]], space: Space
) -> Iterator[Candidate]:
    """Those that lie in the space, and of equals the first."""
    seen: dict[str, str] = {}
    for candidate in found:
        place = candidate.place
        key = json.dumps(place.axes, sort_keys=True)
        if place.misfits:
            more = f" and {len(place.misfits) - 1} more" if len(place.misfits) > 1 else ""
            left_out.append((candidate.name, f"{place.misfits[0]}{more}"))
        elif not place.axes:
            left_out.append((candidate.name, f"no axis of it is one of {space.name}'s"))
        elif key in seen:
            left_out.append((candidate.name, f"the same point as {seen[key]}"))
        else:
            seen[key] = candidate.name
            yield candidate


# --- a notebook ------------------------------------------------------------------------------


def _of_notebook(
    notebook: Notebook, space: Space, left_out: list[tuple[str, str]]
) -> Iterator[Candidate]:
    """Its entries by its own judgement: what was kept later is better than what was kept before.

    What was put aside is no better than what it grew from, and stands behind that; the ends of the
    branches worth going on with count as kept.
    """
    path = {entry.number for head in HEADS for entry in notebook.path_to(head)}
    numbers = [entry.number for entry in notebook.entries]

    def worth(entry: Entry) -> float:
        if entry.kept or entry.number in HEADS or entry.stem is None:
            return numbers.index(entry.number)
        return numbers.index(entry.stem) - 0.5

    places = _located(notebook, space)

    def candidates() -> Iterator[Candidate]:
        for entry in sorted(notebook.entries, key=worth, reverse=True):
            if entry.warm_start is not None:
                why = "it starts from another entry's weights, which says little of its config"
                left_out.append((f"entry {entry.number}", why))
                continue
            is_first = entry.number in path and (entry.kept or entry.number in HEADS)
            name = f"entry {entry.number}"
            yield Candidate(name, places[entry.number], entry.number, is_first)

    return _once(candidates(), left_out, space)


def _located(notebook: Notebook, space: Space) -> dict[str, Place]:
    """Where each entry lies, sought near the one that it is based on."""
    places: dict[str, Place] = {}
    for entry in notebook.entries:
        basis = places.get(entry.based_on or "")
        places[entry.number] = locate.located(space, entry.config, basis.axes if basis else None)
    return places


def _nothing_of_the_log(
    notebook: Notebook, space: Space, left_out: Sequence[tuple[str, str]]
) -> str:
    last = f"entry {HEADS[-1]}"
    why = next(why for name, why in left_out if name == last)
    config = notebook.entry(HEADS[-1]).config
    others = [
        name
        for name in spaces_there.available()
        if name != space.name and not locate.located(spaces_there.load(name), config).misfits
    ]
    fitting = f"launch {' or '.join(others)}, which has it, or " if others else ""
    return (
        f"--warm-start logged: no entry of the log is a point of space {space.name!r} ({last}: "
        f"{why}); {fitting}name an earlier search of this space"
    )


# --- a search --------------------------------------------------------------------------------


def _of_search(
    source: str,
    state: SearchState,
    space: Space,
    objectives: Sequence[str],
    left_out: list[tuple[str, str]],
) -> Iterator[Candidate]:
    """Its trials as it ranked them: the higher rung first, then by what they came to there."""
    policy = replace(AshaPolicy.from_settings(state.search), objectives=tuple(objectives))
    order = list(
        dict.fromkeys(
            name for rung in reversed(policy.rungs) for name in ranking(state, rung, policy)
        )
    )
    failed = [name for name, trial in state.trials.items() if _is_hopeless(trial, order)]
    for name in state.trials.keys() - {*order, *failed}:
        left_out.append((f"{source}/{name}", "it has no result at any rung"))
    make = partial(_candidate, source, space)
    found = [make(state.trials[name], good=True) for name in order]
    found += [make(state.trials[name], good=False) for name in failed]
    return _once(iter(found), left_out, space)


def _is_hopeless(trial: TrialRecord, order: Sequence[str]) -> bool:
    """Whether its config was not trainable, which is worth knowing."""
    verdict = trial.reason.startswith(("diverged", "collapsed"))
    return trial.trial not in order and trial.state == "failed" and verdict


def _candidate(source: str, space: Space, trial: TrialRecord, good: bool) -> Candidate:
    name = f"{source}/{trial.trial}"
    if not trial.distributions:  # of no space, such as a replayed entry
        config: dict[str, Any] = {**trial.config, "warm_start": None}
        place = locate.located(space, TrainConfig.model_validate(config))
        return Candidate(name, place, trial.log_entry, good)
    return Candidate(name, locate.placed(space, trial.axes), trial.log_entry, good)


def _nothing_of(source: str, space: Space, left_out: Sequence[tuple[str, str]]) -> str:
    why = Counter(why for _, why in left_out).most_common(1)
    reason = f"most often: {why[0][0]}" if why else "it has no trial"
    return (
        f"--warm-start {source}: none of its {len(left_out)} trials lies in space {space.name!r} "
        f"({reason}); axes are matched by name and range"
    )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
