"""Import path of the Python contract; the code is in `spkmodel.verification`."""

from spkmodel.verification.bootstrap import Interval, bootstrap_eer, paired_bootstrap
from spkmodel.verification.metrics import (
    DetCurve,
    det_curve,
    eer,
    eer_clova,
    eer_rocch,
    min_dcf,
    rates_at,
    threshold_at_eer,
)

__all__ = [
    "DetCurve",
    "Interval",
    "bootstrap_eer",
    "det_curve",
    "eer",
    "eer_clova",
    "eer_rocch",
    "min_dcf",
    "paired_bootstrap",
    "rates_at",
    "threshold_at_eer",
]
