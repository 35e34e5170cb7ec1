"""Import path of the Python contract; the code is in `spkmodel.losses.mining`."""

from spkmodel.losses.mining import Rank, Triplets, mine

__all__ = ["Rank", "Triplets", "mine"]
