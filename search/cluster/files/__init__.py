"""Files that say where to run, checked offline: one module a kind, `check` finds which is which."""
