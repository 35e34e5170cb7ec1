"""Check MLflow: one run of every trial, and one point of every epoch."""

from collections import Counter
from typing import TYPE_CHECKING

from bench.chaos.evidence import Evidence, recorded
from search.ledger.kinds import OBJECTIVE

if TYPE_CHECKING:
    pass


STATUS = {"complete": "FINISHED", "stopped": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
"""Of a run in MLflow, by the state of its trial."""


def every_trial_has_one_run(evidence: Evidence) -> list[str]:
    """MLflow has exactly one run of every trial, with the status of its end, and no other."""
    if evidence.runs is None:
        return []
    counts = Counter(run.trial for run in evidence.runs)
    trials = evidence.state.trials
    wrong = [f"{name} has {counts[name]} runs in MLflow" for name in trials if counts[name] != 1]
    wrong += [f"MLflow has a run of {name}, which no ledger has" for name in counts.keys() - trials]
    for run in evidence.runs:
        state = trials[run.trial].state if run.trial in trials else ""
        if state in STATUS and run.status != STATUS[state]:
            wrong.append(f"{run.trial} is {state}, its run in MLflow is {run.status}")
    return wrong


def history_equals_ledger(evidence: Evidence) -> list[str]:
    """MLflow has one point for every epoch in the ledger, with the same value, and no other."""
    wrong = []
    for metric in (OBJECTIVE, "train_loss"):
        wanted = recorded(evidence.events, metric)
        for run in evidence.runs or []:
            lost, doubled, other = differences(wanted.get(run.trial, []), run.history[metric])
            if lost or doubled or other:
                wrong.append(
                    f"{run.trial} {metric}: {lost} points lost, {doubled} doubled, {other} other"
                )
    return wrong


def differences(
    wanted: list[tuple[int, float]], found: list[tuple[int, float]]
) -> tuple[int, int, int]:
    """Return how many points are missing, how many are doubled, and how many nobody wrote."""
    want, have = Counter(wanted), Counter(found)
    lost = sum(point not in have for point in want)
    doubled = sum(count - 1 for point, count in have.items() if point in want)
    other = sum(count for point, count in have.items() if point not in want)
    return lost, doubled, other
