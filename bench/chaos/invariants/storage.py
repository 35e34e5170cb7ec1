"""Check files and processes: checkpoints are intact, nothing is left, no event is lost."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.chaos.evidence import Evidence
from spkmodel.core import checkpoint
from spkmodel.core.temporary import find_abandoned

if TYPE_CHECKING:
    pass


EER_TOLERANCE = 1e-6


def checkpoints_are_sound(evidence: Evidence) -> list[str]:
    """Every checkpoint that should exist is what was recorded; the best one has its dev EER."""
    wrong = []
    for trial in evidence.state.trials.values():
        for report in trial.recorded():
            if trial.has_checkpoint(report):
                try:
                    checkpoint.read(evidence.folder / report.checkpoint, report.sha256)
                except checkpoint.CheckpointError as error:
                    wrong.append(f"{trial.trial} epoch {report.epoch}: {error}")
    return wrong + _best_is_reproduced(evidence)


def _best_is_reproduced(evidence: Evidence) -> list[str]:
    ranked = evidence.state.ranked()
    if evidence.checkpoint_eer is None or not ranked:
        return []
    best = ranked[0].best()
    assert best is not None
    if not ranked[0].has_checkpoint(best):
        return [f"the best epoch, {ranked[0].trial} {best.epoch}, has no checkpoint"]
    try:
        found = evidence.checkpoint_eer(evidence.folder / best.checkpoint, best.sha256)
    except checkpoint.CheckpointError as error:
        return [f"the best checkpoint does not load: {error}"]
    if abs(found - best.objective) > EER_TOLERANCE:
        return [f"{ranked[0].trial} epoch {best.epoch}: dev EER {best.objective}, again {found}"]
    return []


def nothing_is_left(evidence: Evidence) -> list[str]:
    """No process and no temporary file outlives the search."""
    wrong = [f"still runs: {process}" for process in evidence.processes]
    left = [*evidence.folder.glob(".*"), *evidence.folder.glob("driver.json*")]
    left += evidence.folder.glob("turn-*")
    left += evidence.folder.glob("head-*.json")
    corpora = evidence.folder.parent / "corpora"
    left += [each.path for each in find_abandoned(corpora)]
    left += corpora.glob(".packing-*")
    left += [*evidence.folder.glob("trials/*/.*"), *evidence.folder.rglob("*.tmp")]
    left += evidence.folder.glob("trials/*/leave-*")
    known = {each.checkpoint for t in evidence.state.trials.values() for each in t.recorded()}
    parts = evidence.folder.glob("trials/*/*-step*")
    left += [path for path in parts if str(path.relative_to(evidence.folder)) not in known]
    home = evidence.folder.parent
    return wrong + [f"left behind: {path.relative_to(home)}" for path in sorted(left)]


def lost_ledger_bytes(before: bytes, ledger: Path) -> list[str]:
    """Return what is wrong if a ledger no longer begins with what it held, a torn line apart."""
    complete = before[: before.rfind(b"\n") + 1]
    return [] if ledger.read_bytes().startswith(complete) else ["recorded events are gone"]
