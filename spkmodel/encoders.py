"""Import path of the Python contract; the code is in `spkmodel.nn.encoders`."""

from spkmodel.nn.encoders import build, parameter_count

__all__ = ["build", "parameter_count"]
