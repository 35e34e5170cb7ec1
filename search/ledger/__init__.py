"""The append-only record of a search, and the state that its events add up to."""

from search.ledger.ledger import Ledger, LedgerDamaged

__all__ = ["Ledger", "LedgerDamaged"]
