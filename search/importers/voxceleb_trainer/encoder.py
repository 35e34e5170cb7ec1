"""Convert voxceleb_trainer's options of a network to an encoder's config."""

import difflib
from collections.abc import Callable, Collection
from typing import Literal, cast

from search.core.errors import UsageError
from search.importers.voxceleb_trainer.options import Options
from search.importers.voxceleb_trainer.remarks import Remark
from spkmodel.config import (
    Encoder,
    LinearMel,
    LogMel,
    Mel,
    RawNet3,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    VGGVox,
)

_POOLINGS: dict[str, dict[str, str]] = {
    "ResNetSE34L": {"SAP": "sap", "ASP": "asp"},
    "ResNetSE34Half": {"SAP": "sap", "ASP": "asp"},
    "ResNetSE34V2": {"SAP": "sap", "ASP": "asp"},
    "VGGVox": {"SAP": "sap", "TAP": "mean", "MAX": "max"},
    "RawNet3": {"ECA": "eca", "ASP": "asp"},
}
"""What each model makes of `encoder_type`; the first is taken where it is none of them."""


def convert_encoder(options: Options, remarks: list[Remark]) -> Encoder:
    """Return the encoder that is like the trainer's network; add what would go wrong to `remarks`.

    Raises:
        UsageError: if we have no such network.
    """
    if options["model"] == "ResNetSE34":
        raise UsageError(
            "model ResNetSE34, the thin ResNet-34 on a linear spectrogram of before 2020-11-23, is "
            "not among ours; ResNetSE34L has its widths on mels"
        )
    model = require_known("model", options["model"], _POOLINGS)
    pooling = _convert_pooling(model, options["encoder_type"], remarks)
    width = options["nOut"]
    if model == "RawNet3":
        return RawNet3(
            pooling=cast('Literal["eca", "asp"]', pooling),
            embedding_dim=width,
            sinc_stride=options.values.get("sinc_stride", 10),
        )
    kinds: dict[str, Callable[..., Encoder]] = {
        "ResNetSE34L": ResNetSE34L,
        "ResNetSE34Half": ResNetSE34Half,
        "ResNetSE34V2": ResNetSE34V2,
        "VGGVox": VGGVox,
    }
    features = _convert_features(model, options, remarks)
    return kinds[model](features=features, pooling=pooling, embedding_dim=width)


def _convert_pooling(model: str, name: str, remarks: list[Remark]) -> str:
    known = _POOLINGS[model]
    if name in known:
        return known[name]
    first = next(iter(known))
    remarks.append(
        Remark(
            "fails",
            "encoder_type",
            f"{model} has no encoder_type {name}: 'Undefined encoder'; it has "
            f"{', '.join(known)}, {first} is taken here",
        )
    )
    return known[first]


def _convert_features(model: str, options: Options, remarks: list[Remark]) -> Mel:
    mels = _choose_mels(model, options, remarks)
    window: Literal["hamming", "hann"] = "hann" if model == "VGGVox" else "hamming"
    emphasis = 0.97 if model == "ResNetSE34V2" else 0.0
    if options["log_input"]:
        return LogMel(mels=mels, window=window, pre_emphasis=emphasis, normalisation="instance")
    how = "is not given" if "log_input" not in options.given else "is off"
    remarks.append(
        Remark(
            "misleads",
            "log_input",
            f"log_input {how}: the network is trained on mel power without its logarithm; every "
            "network that was published had it, and the lab report's own (17.6 % EER) had not. It "
            "is taken as it is; for log mels add log_input",
        )
    )
    return LinearMel(mels=mels, window=window, pre_emphasis=emphasis)


def _choose_mels(model: str, options: Options, remarks: list[Remark]) -> int:
    mels: int = options["n_mels"]
    if model == "VGGVox" and mels != 40:
        remarks.append(Remark("misleads", "n_mels", f"VGGVox ignores n_mels {mels}: it has 40"))
        return 40
    # Three strides of 2 divide the mels by 8, and its attention is built for the rounded number.
    if model == "ResNetSE34V2" and mels % 8:
        fits = max(8, mels - mels % 8)
        remarks.append(
            Remark(
                "fails",
                "n_mels",
                f"ResNetSE34V2 with n_mels {mels} stops in its attention: it expects "
                f"{mels // 8} rows of what its strides leave as {-(-mels // 8)}; n_mels must be "
                f"divisible by 8, {fits} is taken here",
            )
        )
        return fits
    return mels


def require_known(option: str, name: str, there: Collection[str]) -> str:
    """Return the name that an option has.

    Raises:
        UsageError: if it is not among `there`, with the nearest name.
    """
    if name in there:
        return name
    lower = {each.lower(): each for each in there}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"did you mean {lower[near[0]]}? " if near else ""
    said = f"is {name!r}" if name else "is not given"
    raise UsageError(
        f"{option} {said}, at which the trainer stops; {hint}it has {', '.join(there)}"
    )
