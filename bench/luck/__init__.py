"""How often the gate of `promote` takes luck for progress."""
