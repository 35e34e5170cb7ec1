"""What trials have taken of their GPU's memory against the share that they were given: pure.

A share of a GPU is a promise among trials, which nothing enforces: one that takes more than its
share makes its neighbours run out of memory.
"""

from search.ledger.state import SearchState


def most(state: SearchState) -> tuple[float, str]:
    """The largest fraction of a GPU's memory that a trial has held, and which; 0 if none did."""
    shares = (
        (report.gpu_share, trial.trial)
        for trial in state.trials.values()
        for report in trial.reports.values()
    )
    return max(shares, default=(0.0, ""))


def warning(state: SearchState) -> str:
    """Why the share of a GPU that trials are given is too small; empty if it is not."""
    given = state.search.get("gpus_per_trial")
    if given is None or not 0 < given < 1:
        return ""
    share, trial = most(state)
    if share <= given:
        return ""
    return (
        f"{trial} has held {share:.0%} of its GPU's memory, more than its share, {given:.0%}: "
        f"neighbours may run out of it; launch again with --gpus-per-trial {_enough(share):g}"
    )


def _enough(share: float) -> float:
    """The smallest share of the usual ones that is enough, with room for what CUDA itself takes."""
    return next((usual for usual in (0.1, 0.2, 0.25, 0.33, 0.5) if share <= 0.9 * usual), 1.0)
