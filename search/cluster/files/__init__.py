"""Check cluster files offline: one module for each kind; `check` finds out the kind."""
