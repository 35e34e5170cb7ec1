"""Facts that a report shows, computed from a search's ledger alone."""
