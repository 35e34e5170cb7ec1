"""Decide the rungs of a search from `--rungs`, `--eta` and `--max-epochs`."""

from search.core.errors import UsageError
from search.ledger.settings import SearchSettings
from search.scheduler.policy import extend_ladder, ladder


def decide_rungs(
    asked: tuple[int, ...] | None,
    max_epochs: int | None,
    eta: int,
    before: SearchSettings | None,
    default: int,
) -> tuple[int, ...]:
    """Return the ladder: as asked, as before with its end moved, or the one that `eta` makes.

    Args:
        asked: with `--rungs`; None: not given.
        max_epochs: with `--max-epochs`; None: not given.
        eta: one in so many trials goes on from a rung.
        before: the settings of an earlier launch.
        default: the epochs of one trial where nobody says.

    Raises:
        UsageError: if these contradict each other, or the rungs of an earlier launch.
    """
    if eta < 2:
        raise UsageError(f"--eta must be at least 2, got {eta}")
    if max_epochs is not None and max_epochs < 1:
        raise UsageError(f"--max-epochs must be at least 1, got {max_epochs}")
    if asked is not None and max_epochs not in (None, asked[-1]):
        raise UsageError(
            f"the last of --rungs is the epochs of one trial, here {asked[-1]}; leave --max-epochs "
            f"{max_epochs} out, or end --rungs with {max_epochs}"
        )
    if before is None:
        return asked or ladder(max_epochs or default, eta)
    if asked is not None and asked != before.rungs:
        raise UsageError(
            f"the search has the rungs {format_rungs(before.rungs)}, and its trials were compared "
            "there; --max-epochs moves the last one. For "
            f"{format_rungs(asked)} launch under another --name"
        )
    end = max_epochs or before.max_epochs
    return extend_ladder(before.rungs, end, before.eta, before.max_epochs)


def format_rungs(rungs: tuple[int, ...]) -> str:
    """Return a ladder as `--rungs` takes it."""
    return ",".join(map(str, rungs))


def parse_rungs(text: str) -> tuple[int, ...]:
    """Return the epochs that `--rungs` names.

    Raises:
        UsageError: if they are not rising epochs from 1 on.
    """
    try:
        rungs = tuple(int(part) for part in text.split(","))
    except ValueError:
        rungs = ()
    if not rungs or rungs[0] < 1 or list(rungs) != sorted(set(rungs)):
        raise UsageError(f"--rungs takes rising epochs from 1 on, like 2,9,27, got {text!r}")
    return rungs
