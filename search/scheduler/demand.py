"""How many trials would be under way now if there were room for all: pure."""

from search.ledger.state import SearchState
from search.scheduler.asha import advancing
from search.scheduler.policy import AshaPolicy, is_interrupted

MOST = 1000
"""More is not asked of an autoscaler at a time; its own bounds are lower as a rule."""


def wanted(state: SearchState, rule: AshaPolicy) -> int:
    """Trials that run or could begin at once; on hold or asked to stop, those that run.

    A hold for want of machines does not count: it is what the demand is to end.
    """
    live = sum(trial.live for trial in state.trials.values())
    if state.search_stop or set(state.holds) - {"cluster"}:
        return live
    waiting = sum(is_interrupted(trial, rule) and not trial.live for trial in state.trials.values())
    ready = waiting + len(state.queue) + len(advancing(state, rule))
    if rule.trials is None:
        return MOST
    new = max(0, rule.trials - len(state.trials) - len(state.queue))
    return min(MOST, live + ready + new)
