"""Check what must hold of a search that has ended, whatever happened to it.

An invariant is a function from the evidence to a list of what is wrong, in words; the list is empty
if it holds.
"""

from collections.abc import Callable

from bench.chaos.evidence import Evidence
from bench.chaos.invariants.attempts import attempts_resume_in_order, repeated_epochs_agree
from bench.chaos.invariants.sampling import sampler_sees_each_trial_once, suggestions_repeat
from bench.chaos.invariants.storage import checkpoints_are_sound, lost_ledger_bytes, nothing_is_left
from bench.chaos.invariants.tracking import (
    differences,
    every_trial_has_one_run,
    history_equals_ledger,
)
from bench.chaos.invariants.trials import (
    budget_is_kept,
    decisions_follow_the_rule,
    every_trial_ends_once,
)
from search.core.errors import SpksearchError

__all__ = [
    "ALL",
    "attempts_resume_in_order",
    "budget_is_kept",
    "checkpoints_are_sound",
    "decisions_follow_the_rule",
    "differences",
    "every_trial_ends_once",
    "every_trial_has_one_run",
    "history_equals_ledger",
    "lost_ledger_bytes",
    "nothing_is_left",
    "repeated_epochs_agree",
    "sampler_sees_each_trial_once",
    "suggestions_repeat",
    "violations",
]

Invariant = Callable[[Evidence], list[str]]

ALL: tuple[Invariant, ...] = (
    every_trial_ends_once,
    every_trial_has_one_run,
    history_equals_ledger,
    decisions_follow_the_rule,
    attempts_resume_in_order,
    repeated_epochs_agree,
    checkpoints_are_sound,
    sampler_sees_each_trial_once,
    suggestions_repeat,
    nothing_is_left,
    budget_is_kept,
)


def violations(evidence: Evidence) -> list[str]:
    """Return everything that is wrong, each with the invariant that it breaks."""
    found = []
    for invariant in ALL:
        try:
            found += [f"{invariant.__name__}: {words}" for words in invariant(evidence)]
        except (KeyError, SpksearchError, ValueError) as error:
            found.append(f"{invariant.__name__}: cannot be checked: {error!r}")
    return found
