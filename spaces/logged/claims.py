"""Findings of the log as testable claims: one entry against another, by one measure."""

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from spaces.logged import load_log
from spkmodel.config import FrozenModel

Measure = Literal["dev_eer", "train_loss", "train_accuracy", "active_triplet_fraction"]


class Claim(FrozenModel):
    """The claim that a measure of `entry` is lower, or higher, than that of `against`."""

    entry: str
    against: str
    measure: Measure
    expected: Literal["lower", "higher"]
    finding: str = Field(min_length=1)
    """What the log says."""

    @property
    def text(self) -> str:
        """Return the claim on one line."""
        return f"{self.entry} has a {self.expected} {self.measure} than {self.against}"


class _File(FrozenModel):
    claim: tuple[Claim, ...]


@lru_cache(maxsize=1)
def load_claims() -> tuple[Claim, ...]:
    """Return all claims, after checking that their entries are in the log."""
    path = Path(__file__).with_name("claims.toml")
    found = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).claim
    for claim in found:
        load_log().entry(claim.entry)
        load_log().entry(claim.against)
    return found
