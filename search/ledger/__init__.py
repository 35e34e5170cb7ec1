"""The append-only record of a search, and the state that its events add up to."""

from search.ledger.events import LedgerDamaged
from search.ledger.ledger import Ledger

__all__ = ["Ledger", "LedgerDamaged"]
