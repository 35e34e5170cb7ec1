"""Find the weights of a warm start by name, and check them against the config before a start.

`SEARCH/TRIAL` means the same as everywhere (`search.checkpoints.selection`): of the epochs whose
checkpoint is kept, the one with the lowest dev EER. What was found is written into the ledger with
the trial, so that a second attempt starts from the same weights whatever has happened to the first
trial since.
"""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from search.checkpoints.selection import parse_trial, select_checkpoint
from search.core.errors import NotFound, NoUsableTrial, UsageError
from search.core.paths import existing_ledger, search_folder
from search.ledger.events import WarmWeights
from search.ledger.ledger import Ledger

if TYPE_CHECKING:
    from search.space.loader import Branch
    from spkmodel.config import TrainConfig


def resolve(config: "TrainConfig") -> WarmWeights | None:
    """Return the checkpoint that a config starts from; None without a warm start.

    Raises:
        UsageError: if there is none, it is not the one that was meant, or it has another shape.
    """
    if config.warm_start is None:
        return None
    try:
        folder, recorded = _locate(config.warm_start.weights)
        found, its = _read(folder, recorded)
    except (ValueError, NotFound, NoUsableTrial) as error:
        raise UsageError(
            f"warm_start.weights={config.warm_start.weights!r}: {error}; it takes SEARCH/TRIAL or "
            "the folder of a checkpoint"
        ) from error
    if config.warm_start.sha256 not in ("", found):
        raise UsageError(
            f"warm_start.sha256={config.warm_start.sha256[:16]}..., but "
            f"{config.warm_start.weights} is {found[:16]}...: other weights than were meant; leave "
            "it empty to take these, or name the folder of the checkpoint that has it"
        )
    # Imported here because it loads torch, which `describe` does without.
    from spkmodel.training import warm_start

    try:
        warm_start.check(config, its)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return WarmWeights(config.warm_start.weights, str(folder), found)


def check(space: str, branches: Iterable["Branch"]) -> None:
    """Resolve the warm start of every branch of a space.

    Raises:
        UsageError: naming the branch whose warm start cannot be used.
    """
    for branch in branches:
        try:
            resolve(branch.config)
        except UsageError as problem:
            chosen = ", ".join(f"{axis}={choice}" for axis, choice in branch.choices.items())
            raise UsageError(f"space {space} with {chosen or 'no choices'}: {problem}") from None


def _locate(weights: str) -> tuple[Path, str | None]:
    """Return the folder of the checkpoint, and its hash if it is in a ledger."""
    folder = Path(weights)
    if folder.is_dir():
        return folder.absolute(), None
    named = parse_trial(weights)
    if named is None:
        raise NotFound("no such folder")
    search, trial = named
    state = Ledger.open(existing_ledger(search)).state()
    choice = select_checkpoint(state, search_folder(search), trial)
    return choice.folder, choice.report.sha256


# A space asks for the same checkpoint in each of its branches, and hashing it takes seconds.
@lru_cache(maxsize=16)
def _read(folder: Path, recorded: str | None) -> tuple[str, "TrainConfig"]:
    """Return the hash and the config of a checkpoint."""
    from spkmodel.config import TrainConfig
    from spkmodel.core import checkpoint

    saved = checkpoint.read(folder, recorded)
    return saved.sha256, TrainConfig.model_validate(saved.state["config"])
