"""Decide what a replay trains: entries, seeds, claims, configs and the number of steps."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from search.core.errors import UsageError
from search.launch.settings import LaunchRequest
from search.ledger.queue import QueuedTrial
from search.notebook.notebooks import load_notebook
from spaces.logged import Entry, Notebook
from spaces.logged.claims import Claim, load_claims
from spaces.logged.scale import LOG_STEPS, Scale, adapt_schedules
from spkmodel.config import TrainConfig

if TYPE_CHECKING:
    from spkmodel.data.corpus import Corpus

SPACE = "replay"
"""What a replay records where other searches record the name of their space."""

SMALL_EPOCHS = 6
"""Epochs of a trial that is scaled down."""

_LONGEST_NAME = 64


@dataclass(frozen=True, kw_only=True)
class ReplayRequest:
    """What the user asked for."""

    entries: str
    """Such as `101-106,116`; empty: all that the claims need."""
    corpus: Path | str
    """A folder, or a URI where `corpus pack --to` has put it."""
    scale: Scale
    file: Path | None = None
    """The user's notebook; None: the log."""
    check: bool = False
    seeds: int = 1
    epochs: int | None = None
    launch: LaunchRequest
    """All other options of a launch; space, name, corpus and budgets are set by the replay."""


@dataclass(frozen=True)
class ReplayPlan:
    """What a replay trains and tests."""

    name: str
    notebook: Notebook
    entries: list[Entry]
    claims: list[Claim]
    scale: Scale
    seeds: int

    @property
    def runs(self) -> list[tuple[Entry, int]]:
        """Every entry with every seed; all entries of one seed, then those of the next."""
        return [(entry, seed) for seed in range(self.seeds) for entry in self.entries]


def plan_replay(request: ReplayRequest) -> ReplayPlan:
    """Return the entries, claims and seeds of a replay.

    An entry whose weights another one starts from is added.

    Raises:
        NotebookError: an entry is unknown, or a range goes backwards.
        UsageError: there is nothing to run.
    """
    notebook = load_notebook(request.file)
    wanted = notebook.select(request.entries) if request.entries else []
    claims: list[Claim] = []
    if request.check:
        if request.file is not None:
            raise UsageError("--check is about the findings of the log; leave out --file")
        claims = _select_claims(request.entries, {entry.number for entry in wanted})
        pairs = [number for claim in claims for number in (claim.entry, claim.against)]
        wanted = [notebook.entry(number) for number in dict.fromkeys(pairs)]
    elif not wanted:
        raise UsageError("which entries? spksearch replay 101-106,116 --corpus DIR")
    entries = _add_weight_sources(notebook, wanted)
    name = request.launch.name or _default_name(request, notebook)
    return ReplayPlan(name, notebook, entries, claims, request.scale, request.seeds)


def _select_claims(ranges: str, numbers: set[str]) -> list[Claim]:
    """Return the claims about these entries, or all claims if there are none."""
    claims = [claim for claim in load_claims() if not numbers or claim.entry in numbers]
    if not claims:
        known = ", ".join(sorted({claim.entry for claim in load_claims()}))
        raise UsageError(f"no claim about {ranges}; there are claims about {known}")
    return claims


def _add_weight_sources(notebook: Notebook, wanted: Iterable[Entry]) -> list[Entry]:
    """Return the wanted entries and those whose weights they start from, in notebook order."""
    numbers = {entry.number for entry in wanted}
    unchecked = list(numbers)
    while unchecked:
        source = notebook.entry(unchecked.pop()).warm_start
        if source is not None and source not in numbers:
            numbers.add(source)
            unchecked.append(source)
    return [entry for entry in notebook.entries if entry.number in numbers]


def _default_name(request: ReplayRequest, notebook: Notebook) -> str:
    entries = request.entries.replace(" ", "").replace(",", "_")
    parts = [SPACE, "" if request.file is None else notebook.name, "check" * request.check, entries]
    scale = "" if request.scale.is_full else request.scale.text.replace("/", "-")
    name = "-".join(part for part in (*parts, scale) if part)
    if len(name) <= _LONGEST_NAME:
        return name
    # A search's name is limited; by its hash the same request finds the same search again.
    return f"{SPACE}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


# --- trials ----------------------------------------------------------------------------------


def queue_trials(
    plan: ReplayPlan,
    configs: Mapping[str, TrainConfig],
    steps: Mapping[str, int],
    epochs: int,
) -> list[QueuedTrial]:
    """Return one queued trial for each entry and seed of the plan.

    Args:
        plan: of the replay.
        configs: scaled config of each entry.
        steps: optimiser steps in an epoch, of each entry.
        epochs: of every trial.
    """
    return [
        _queued_trial(plan, entry, seed, configs[entry.number], steps[entry.number] * epochs)
        for entry, seed in plan.runs
    ]


def _queued_trial(
    plan: ReplayPlan, entry: Entry, seed: int, config: TrainConfig, steps: int
) -> QueuedTrial:
    if not plan.scale.is_full:
        config = adapt_schedules(config, steps)
    config = config.model_copy(update={"seed": seed})
    origin = [
        f"entry {entry.number}",
        plan.scale.description,
        f"seed {seed}" if plan.seeds > 1 else "",
    ]
    return QueuedTrial(
        key=queue_key(plan, entry.number, seed),
        config=config.model_dump(mode="json"),
        origin=", ".join(filter(None, origin)),
        log_entry=entry.number,
        weights_of=queue_key(plan, entry.warm_start, seed) if entry.warm_start else "",
        axes={"entry": entry.number, "scale": plan.scale.text, "seed": seed},
    )


def queue_key(plan: ReplayPlan, number: str, seed: int) -> str:
    """Return the key that identifies the trial of an entry and seed in the ledger."""
    return f"{plan.notebook.name}/{number}/{plan.scale.text}/{seed}"


# --- length of training ----------------------------------------------------------------------


def count_steps_per_epoch(config: TrainConfig, corpus: "Corpus") -> int:
    """Return the optimiser steps of one epoch on this corpus.

    Raises:
        UsageError: the corpus is too small for one batch.
    """
    from spkmodel.training.epoch_plan import batches_in_epoch

    utterances_of = Counter(entry.speaker for entry in corpus.train)
    made = batches_in_epoch([*utterances_of.values()], config.batches)
    if not made:
        raise UsageError(
            f"not one batch of {config.batches.speakers} speakers x {config.batches.utterances} "
            "utterances can be made from this corpus; replay at a smaller --scale"
        )
    return max(1, math.ceil(made / config.batches_per_step))


def default_epochs(plan: ReplayPlan, steps: Mapping[str, int]) -> int:
    """Return the epochs of every trial: few when scaled down, else those of the log's steps.

    At full size the entry with the fewest steps per epoch decides.
    """
    if not plan.scale.is_full:
        return SMALL_EPOCHS
    return max(
        math.ceil((entry.steps or LOG_STEPS) / steps[entry.number]) for entry in plan.entries
    )


def describe_plan(
    plan: ReplayPlan, corpus: "Corpus", steps: Mapping[str, int], epochs: int
) -> list[str]:
    """Return what will be trained, as lines for people."""
    numbers = [entry.number for entry in plan.entries]
    warm = [f"{e.number} from {e.warm_start}" for e in plan.entries if e.warm_start]
    fewest, most = min(steps.values()) * epochs, max(steps.values()) * epochs
    span = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    lines = [
        f"replay {plan.name}: entries {', '.join(numbers)} of {plan.notebook.name}"
        + (f", {plan.seeds} seeds each" if plan.seeds > 1 else ""),
        f"{len(corpus.train)} training utterances of "
        f"{len({entry.speaker for entry in corpus.train})} speakers; {epochs} epochs, {span} steps",
    ]
    if not plan.scale.is_full:
        half = max(1, plan.scale.divisor // 2)
        lines.append(
            f"{plan.scale.description}: widths / {plan.scale.divisor}, crops and speakers a batch "
            f"/ {half}, schedules in proportion to the steps"
        )
    if warm:
        lines.append(f"warm starts: {', '.join(warm)}")
    return lines
