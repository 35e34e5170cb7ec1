"""Import path of the Python contract; the code is in `search.space.loader`."""

from search.space.loader import branches, describe, load

__all__ = ["branches", "describe", "load"]
