"""Load a search space, enumerate its branches, locate a config in it."""
