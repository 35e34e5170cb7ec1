"""Entries of a notebook run as the trials of a search: each to its end, with its warm starts.

A replay is a search whose trials are all wished for and whose ladder has one rung, so that nothing
is stopped early. It is recorded, resumed, steered and browsed like any other.
"""

import hashlib
import math
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from search.core.errors import UsageError
from search.core.paths import ledger_path
from search.launch import launch, preparation
from search.launch.settings import LaunchRequest, Settings
from search.ledger.ledger import Ledger
from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.notebook.claims import Judged, judge
from search.notebook.notebooks import opened
from search.space.loader import Branch, Space
from spaces.logged import Entry, Notebook
from spaces.logged.claims import Claim, claims
from spaces.logged.scale import LOG_STEPS, Scale, paced, scaled
from spkmodel.config import TrainConfig

if TYPE_CHECKING:
    from search.reporting.terminal import SearchDisplay
    from spkmodel.data.corpus import Corpus

SPACE = "replay"
"""What stands where other searches name their space."""

SMALL_EPOCHS = 6
"""Of a trial that is scaled."""


@dataclass(frozen=True, kw_only=True)
class ReplayRequest:
    """What the user asked for."""

    entries: str
    """Such as `101-106,116`; empty: all that the claims need."""
    corpus: Path | str
    """A folder, or a URI where `corpus pack --to` has put it."""
    scale: Scale
    file: Path | None = None
    """A notebook of one's own; None: the log."""
    check: bool = False
    seeds: int = 1
    epochs: int | None = None
    launch: LaunchRequest
    """All else that a launch takes; its space, name, corpus and budgets are set here."""


@dataclass(frozen=True)
class Replay:
    """What is to be run."""

    name: str
    notebook: Notebook
    entries: list[Entry]
    claims: list[Claim]
    scale: Scale
    seeds: int

    @property
    def runs(self) -> list[tuple[Entry, int]]:
        """Entries and seeds: of one seed all, then of the next."""
        return [(entry, seed) for seed in range(self.seeds) for entry in self.entries]


@dataclass(frozen=True)
class ReplayOutcome:
    """How a replay ended, or what it would be."""

    replay: Replay
    state: SearchState | None
    """None after a dry run."""
    plan: list[str]


def replay(request: ReplayRequest, display: "SearchDisplay") -> ReplayOutcome:
    """Run entries, or go on with running them.

    Raises:
        NotebookError: an entry is unknown, a range goes backwards, an encoder cannot be scaled.
        UsageError: the corpus does not fit, or the name is another replay's.
        Interrupted: a signal ended it; everything is saved.
    """
    what = planned(request)
    before = launch.settings_of(what.name)
    _check_same(what, request, before)
    shrunk = {entry.number: scaled(entry.config, what.scale) for entry in what.entries}
    branches = [Branch({"entry": number}, (), config) for number, config in shrunk.items()]
    asked = replace(
        request.launch,
        space=SPACE,
        corpus=request.corpus,
        name=what.name,
        trials=len(what.runs),
        max_epochs=request.epochs,
    )
    corpus = preparation.checked_corpus(asked, branches, before)
    steps = {number: steps_per_epoch(config, corpus) for number, config in shrunk.items()}
    epochs = request.epochs or _epochs_before(before) or _epochs(what, steps)
    wishes = [
        _wish(what, entry, seed, shrunk[entry.number], steps[entry.number] * epochs)
        for entry, seed in what.runs
    ]
    plan = _plan(what, corpus, steps, epochs)
    if request.launch.dry_run:
        return ReplayOutcome(what, None, plan)
    for line in plan:
        display.print_line(line)
    space = _space(what)
    settings = preparation.prepared(
        replace(asked, max_epochs=epochs), before, space, corpus, display
    )
    # The sampler is never asked: a budget of no trials leaves those that are wished for.
    settings = replace(settings, trials=0, rungs=[epochs])
    record = {"notebook": what.notebook.name, "scale": what.scale.text, "command": _again(request)}
    state = launch.run_search(
        what.name, asked, space, settings, before, display, wishes=wishes, replay=record
    )
    return ReplayOutcome(what, state, plan)


def planned(request: ReplayRequest) -> Replay:
    """Which entries, claims and seeds; what an entry starts from comes along.

    Raises:
        NotebookError: an entry is unknown, or a range goes backwards.
        UsageError: if there is nothing to run.
    """
    notebook = opened(request.file)
    wanted = notebook.select(request.entries) if request.entries else []
    tested: list[Claim] = []
    if request.check:
        if request.file is not None:
            raise UsageError("--check is about the findings of the log; leave out --file")
        numbers = {entry.number for entry in wanted}
        tested = [claim for claim in claims() if not numbers or claim.entry in numbers]
        if not tested:
            known = ", ".join(sorted({claim.entry for claim in claims()}))
            raise UsageError(f"no claim about {request.entries}; there are claims about {known}")
        pairs = [number for claim in tested for number in (claim.entry, claim.against)]
        wanted = [notebook.entry(number) for number in dict.fromkeys(pairs)]
    elif not wanted:
        raise UsageError("which entries? spksearch replay 101-106,116 --corpus DIR")
    entries = _with_sources(notebook, wanted)
    name = request.launch.name or _name(request, notebook)
    return Replay(name, notebook, entries, tested, request.scale, request.seeds)


def _with_sources(notebook: Notebook, wanted: Iterable[Entry]) -> list[Entry]:
    """In the order of the notebook, those whose weights are wanted among them."""
    numbers = {entry.number for entry in wanted}
    open_numbers = list(numbers)
    while open_numbers:
        source = notebook.entry(open_numbers.pop()).warm_start
        if source is not None and source not in numbers:
            numbers.add(source)
            open_numbers.append(source)
    return [entry for entry in notebook.entries if entry.number in numbers]


def _name(request: ReplayRequest, notebook: Notebook) -> str:
    entries = request.entries.replace(" ", "").replace(",", "_")
    parts = [SPACE, "" if request.file is None else notebook.name, "check" * request.check, entries]
    scale = "" if request.scale.is_full else request.scale.text.replace("/", "-")
    name = "-".join(part for part in (*parts, scale) if part)
    if len(name) <= 64:
        return name
    return f"{SPACE}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _check_same(what: Replay, request: ReplayRequest, before: Settings | None) -> None:
    """Refuse to go on with another replay under this name."""
    if before is None:
        return
    state = Ledger.open(ledger_path(what.name)).state()
    was = state.search.get("replay")
    if was is None:
        raise UsageError(f"search {what.name!r} exists and is no replay; choose another --name")
    now = {"notebook": what.notebook.name, "scale": what.scale.text}
    differences = [
        f"{key} {was[key]} before, {now[key]} now" for key in now if was[key] != now[key]
    ]
    if request.epochs not in (None, before.max_epochs):
        # Schedules end with the training: with more epochs it would be another one.
        differences.append(f"--max-epochs {before.max_epochs} before, {request.epochs} now")
    if differences:
        raise UsageError(
            f"replay {what.name!r} exists and is another one: {'; '.join(differences)}; choose "
            "another --name"
        )


def _again(request: ReplayRequest) -> str:
    """The command without its name, for going on."""
    words = ["spksearch", "replay"]
    words += [request.entries] if request.entries else []
    words += ["--corpus", str(request.corpus), "--scale", request.scale.text]
    words += ["--file", str(request.file)] if request.file else []
    words += ["--check"] if request.check else []
    words += ["--seeds", str(request.seeds)] if request.seeds > 1 else []
    return shlex.join(words)


def _space(what: Replay) -> Space:
    digest = hashlib.sha256(f"{what.notebook.name} {what.scale.text}".encode()).hexdigest()
    question = f"What becomes of the entries of {what.notebook.name}?"
    return Space(SPACE, _never, question, what.notebook.path, digest)


def _never(trial: Any) -> TrainConfig:
    raise AssertionError(f"a replay has no ideas of its own: {trial}")


# --- how long --------------------------------------------------------------------------------


def steps_per_epoch(config: TrainConfig, corpus: "Corpus") -> int:
    """Steps of the optimiser in an epoch on this corpus."""
    from spkmodel.training import batches

    labels: dict[str, int] = {}
    for entry in corpus.train:
        labels.setdefault(entry.speaker, len(labels))
    made = batches.epoch(
        [entry.path for entry in corpus.train],
        [labels[entry.speaker] for entry in corpus.train],
        config.batches.speakers,
        config.batches.utterances,
        config.seed,
        1,
    )
    if not made:
        raise UsageError(
            f"not one batch of {config.batches.speakers} speakers x {config.batches.utterances} "
            "utterances can be made from this corpus; replay at a smaller --scale"
        )
    return max(1, math.ceil(len(made) / config.batches_per_step))


def _epochs_before(before: Settings | None) -> int | None:
    return before.max_epochs if before is not None else None


def _epochs(what: Replay, steps: dict[str, int]) -> int:
    """A few for what is scaled; at full size what the log trained for, by its slowest entry."""
    if not what.scale.is_full:
        return SMALL_EPOCHS
    return max(
        math.ceil((entry.steps or LOG_STEPS) / steps[entry.number]) for entry in what.entries
    )


def _wish(what: Replay, entry: Entry, seed: int, config: TrainConfig, steps: int) -> QueuedTrial:
    if not what.scale.is_full:
        config = paced(config, steps)
    config = config.model_copy(update={"seed": seed})
    words = [f"entry {entry.number}", what.scale.words, f"seed {seed}" if what.seeds > 1 else ""]
    return QueuedTrial(
        key=wish_key(what, entry.number, seed),
        config=config.model_dump(mode="json"),
        origin=", ".join(filter(None, words)),
        log_entry=entry.number,
        weights_of=wish_key(what, entry.warm_start, seed) if entry.warm_start else "",
        axes={"entry": entry.number, "scale": what.scale.text, "seed": seed},
    )


def wish_key(what: Replay, number: str, seed: int) -> str:
    """By which a replay knows the trial of an entry again."""
    return f"{what.notebook.name}/{number}/{what.scale.text}/{seed}"


def _plan(what: Replay, corpus: "Corpus", steps: dict[str, int], epochs: int) -> list[str]:
    """What will be run, for people."""
    numbers = [entry.number for entry in what.entries]
    warm = [f"{e.number} from {e.warm_start}" for e in what.entries if e.warm_start]
    few, many = min(steps.values()) * epochs, max(steps.values()) * epochs
    span = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    lines = [
        f"replay {what.name}: entries {', '.join(numbers)} of {what.notebook.name}"
        + (f", {what.seeds} seeds each" if what.seeds > 1 else ""),
        f"{len(corpus.train)} training utterances of "
        f"{len({entry.speaker for entry in corpus.train})} speakers; {epochs} epochs, {span} steps",
    ]
    if not what.scale.is_full:
        half = max(1, what.scale.divisor // 2)
        lines.append(
            f"{what.scale.words}: widths / {what.scale.divisor}, crops and speakers a batch "
            f"/ {half}, schedules in proportion to the steps"
        )
    if warm:
        lines.append(f"warm starts: {', '.join(warm)}")
    return lines


# --- results ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """One entry, as it was replayed with one seed."""

    entry: Entry
    seed: int
    trial: str | None
    state: Literal["waiting", "withdrawn"] | str
    reason: str
    metrics: dict[str, float]
    """After the last epoch."""
    best_dev_eer: float | None


def results(what: Replay, state: SearchState) -> list[Result]:
    """All entries and seeds, run or not."""
    return [_result(what, state, entry, seed) for entry, seed in what.runs]


def _result(what: Replay, state: SearchState, entry: Entry, seed: int) -> Result:
    key = wish_key(what, entry.number, seed)
    trial = state.trials.get(state.begun.get(key, ""))
    if trial is None:
        reason = state.withdrawn.get(key, "")
        return Result(entry, seed, None, "withdrawn" if reason else "waiting", reason, {}, None)
    best, last = trial.best(), trial.last
    return Result(
        entry,
        seed,
        trial.trial,
        trial.state,
        trial.reason,
        dict(last.metrics) if last else {},
        best.objective if best else None,
    )


def judged(what: Replay, state: SearchState) -> list[Judged]:
    """Every claim of the replay with its verdict."""

    def trial_of(number: str, seed: int) -> TrialRecord | None:
        return state.trials.get(state.begun.get(wish_key(what, number, seed), ""))

    return [judge(claim, trial_of, range(what.seeds)) for claim in what.claims]
