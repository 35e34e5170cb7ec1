"""The settings of a search, as its `search` events record them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from search.ledger.kinds import Strategy
from spkmodel.core.condition_names import Condition

DEFAULT_KEEP = 5
"""Trials whose best epoch is kept."""


class SearchSettings(BaseModel):
    """All that decides one search."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    space: str
    space_sha256: str
    corpus: str
    corpus_sha256: str
    store: str
    dev_store: str
    seed: int
    dev_condition: Condition
    noise: str
    rooms: str
    """Folders; empty for the built-in surroundings."""
    surroundings: str
    """Fingerprint of both."""
    rule: Literal["promotion", "stopping"]
    eta: int
    rungs: tuple[int, ...]
    trials: int | None
    hours: float | None
    max_epochs: int
    finalists: int
    """How many trials at least are trained to the last rung."""
    concurrent: int | None
    """None: as many as the cluster has room for."""
    cpus_per_trial: float
    gpus_per_trial: float | None
    """None: one where the cluster has any."""
    tracking_uri: str
    """Without credentials; empty for the local store."""
    objectives: tuple[str, ...]
    """What is wanted low, the dev EER first."""
    warm_start: str
    """`logged` or the search that this one begins with; empty for none."""
    warm_start_trials: int
    """How many of its points are tried first."""
    warm_start_sha256: str
    """Of the source when it was read."""
    store_sha256: str
    """Of the manifest of a store at a URI; empty for one at a path."""
    max_failed: int | None
    """Trials that may fail for good before the search ends; None: any number."""
    keep_checkpoints: int
    """Trials whose best epoch is kept; see `search.checkpoints.retention`."""
    disk_gb: float | None
    """What all checkpoints together may use; None: as much as there is."""
    strategy: Strategy = "early_tpe"
    """How configs are suggested. Searches of before 0.2.0 go on as they began."""
    default_trial: bool = False
    """Whether its first trial is the default configuration. Searches of before 0.2.0 have none."""
