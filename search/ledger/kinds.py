"""Names used in events: objectives, and the reasons why attempts and trials end."""

from typing import Literal

OBJECTIVE = "dev_eer"
"""The metric that chooses; lower is better."""

SIZE = "encoder_parameters"
"""What a search may want low beside it."""

Strategy = Literal["tpe", "early_tpe", "random"]
"""How configs are suggested. tpe: by Optuna's TPE, which models the results from two epochs on.
early_tpe: of the first rung too. random: each on its own."""

InterruptReason = Literal[
    "crash", "out_of_memory", "hang", "lost_node", "preempted", "driver", "stopped", "storage"
]
"""Why an attempt was cut short."""

COUNTED: frozenset[InterruptReason] = frozenset({"crash", "out_of_memory", "hang"})
"""Interruptions that use up a retry; the others are not the trial's doing."""

DRIVER_ENDED = "its driver ended"
"""Why an attempt was cut short whose driver is no more."""

EndState = Literal["complete", "stopped", "failed", "killed"]
"""What a trial is that has ended."""

EndedBy = Literal["rule", "budget", "user", "failure"]
"""Who or what ended a trial."""

Failure = Literal["diverged", "collapsed", "out_of_memory", "crash", "hang", "lost_node", "storage"]
"""Why a trial failed for good."""

TrialState = Literal["running", "paused", EndState]
"""What a trial is now."""
