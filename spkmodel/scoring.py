"""Import path of the Python contract; the code is in `spkmodel.verification.scoring`."""

from spkmodel.verification.scoring import Collapsed, score_pairs

__all__ = ["Collapsed", "score_pairs"]
