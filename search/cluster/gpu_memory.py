"""Compare the GPU memory that trials have held with the share of a GPU that each was given.

Nothing enforces a share of a GPU: a trial that takes more than its share makes the other trials on
that GPU run out of memory.
"""

from search.ledger.state import SearchState


def find_largest_share(state: SearchState) -> tuple[float, str]:
    """Return the largest fraction of a GPU's memory that a trial held, and its name; 0 if none."""
    shares = (
        (report.gpu_share, trial.trial)
        for trial in state.trials.values()
        for report in trial.reports.values()
    )
    return max(shares, default=(0.0, ""))


def describe_overuse(state: SearchState) -> str:
    """Say why the share of a GPU that each trial gets is too small; empty if it is not."""
    given = state.search.gpus_per_trial
    if given is None or not 0 < given < 1:
        return ""
    share, trial = find_largest_share(state)
    if share <= given:
        return ""
    return (
        f"{trial} has held {share:.0%} of its GPU's memory, more than its share, {given:.0%}: "
        f"neighbours may run out of it; launch again with --gpus-per-trial {_choose_share(share):g}"
    )


def _choose_share(share: float) -> float:
    """Return the smallest usual share that is enough, with room for what CUDA itself takes."""
    # Odd shares such as 0.37 would waste a GPU: only whole numbers of trials fit on one.
    return next((usual for usual in (0.1, 0.2, 0.25, 0.33, 0.5) if share <= 0.9 * usual), 1.0)
