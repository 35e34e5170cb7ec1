"""Its options as a config of ours, and what would have gone wrong there."""

import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal, cast

from pydantic import ValidationError

from search.core.errors import UsageError
from search.core.validation_messages import describe_validation_error
from search.importers.voxceleb_trainer.losses import LOSSES, utterances
from search.importers.voxceleb_trainer.options import Options
from search.importers.voxceleb_trainer.remarks import Remark
from spkmodel.config import (
    SGD,
    Adam,
    Augment,
    Babble,
    Batches,
    Encoder,
    LinearMel,
    LogMel,
    Mel,
    Optimiser,
    RawNet3,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    StepDecay,
    TrainConfig,
    VGGVox,
)

_RATE = 16_000
_POOLINGS: dict[str, dict[str, str]] = {
    "ResNetSE34L": {"SAP": "sap", "ASP": "asp"},
    "ResNetSE34Half": {"SAP": "sap", "ASP": "asp"},
    "ResNetSE34V2": {"SAP": "sap", "ASP": "asp"},
    "VGGVox": {"SAP": "sap", "TAP": "mean", "MAX": "max"},
    "RawNet3": {"ECA": "eca", "ASP": "asp"},
}
"""Models, and what each makes of `encoder_type`; the first is taken where it is none of them."""


@dataclass(frozen=True)
class Imported:
    """What became of its options."""

    config: TrainConfig
    epochs: int
    """Its max_epoch; a config of ours has none, `launch --max-epochs` says it."""
    remarks: tuple[Remark, ...]


def imported(options: Options, speakers: int | None = None) -> Imported:
    """The training of `options` as ours would be configured.

    Where that training would have stopped with an error, the least change that lets it run is
    made, and said.

    Args:
        options: as the trainer understands them.
        speakers: in its training list, where known.

    Raises:
        UsageError: if no config of ours can be like it; says why and what would be right.
    """
    remarks = list(options.remarks)
    name = _known("trainfunc", options["trainfunc"], LOSSES)
    batch = _speakers(options, speakers, remarks)
    together = utterances(name, options["nPerSpeaker"], remarks)
    encoder = _encoder(options, remarks)
    try:
        config = TrainConfig(
            encoder=encoder,
            loss=LOSSES[name].build(options, batch, remarks),
            batches=Batches(
                speakers=batch,
                utterances=together,
                crop_seconds=(options["max_frames"] * 160 + 240) / _RATE,
                max_utterances_per_speaker=options["max_seg_per_spk"],
            ),
            augment=_augment(options, remarks),
            optimiser=_optimiser(options),
            schedule=_schedule(options, remarks),
            gradient_clip=None,
            precision="bfloat16" if options.values.get("mixedprec") else "float32",
            seed=options.values.get("seed", 0),
        )
    except ValidationError as error:
        raise UsageError(
            f"no config of ours can be like this one: {describe_validation_error(error)}"
        ) from error
    remarks += [*_classes(options, speakers), *_unused(options), *_further(options)]
    return Imported(config, options["max_epoch"], tuple(remarks))


def judged(options: Options) -> list[Remark]:
    """What there is to say of an evaluation."""
    remarks = list(options.remarks)
    if options["eval_frames"] == 0:
        remarks.append(
            Remark(
                "fails",
                "eval_frames",
                "eval_frames 0 hears whole utterances, whose one embedding the scorer then cuts "
                "into 10: it stops; here whole utterances are the default",
            )
        )
    if options["trainfunc"] == "proto":
        remarks.append(
            Remark(
                "differs",
                "trainfunc",
                "proto's embeddings are not brought to unit length there; here they always are",
            )
        )
    if not options["log_input"] and options["model"] != "RawNet3":
        remarks.append(
            Remark(
                "misleads",
                "log_input",
                "log_input is off: right only for a network that was trained so; the published "
                "ones were not",
            )
        )
    return remarks


def _known(option: str, name: str, there: Collection[str]) -> str:
    if name in there:
        return name
    lower = {each.lower(): each for each in there}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"did you mean {lower[near[0]]}? " if near else ""
    said = f"is {name!r}" if name else "is not given"
    raise UsageError(
        f"{option} {said}, at which the trainer stops; {hint}it has {', '.join(there)}"
    )


# --- the network -------------------------------------------------------------------------------


def _encoder(options: Options, remarks: list[Remark]) -> Encoder:
    if options["model"] == "ResNetSE34":
        raise UsageError(
            "model ResNetSE34, the thin ResNet-34 on a linear spectrogram of before 2020-11-23, is "
            "not among ours; ResNetSE34L has its widths on mels"
        )
    model = _known("model", options["model"], _POOLINGS)
    pooling = _pooling(model, options["encoder_type"], remarks)
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
    features = _features(model, options, remarks)
    return kinds[model](features=features, pooling=pooling, embedding_dim=width)


def _pooling(model: str, name: str, remarks: list[Remark]) -> str:
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


def _features(model: str, options: Options, remarks: list[Remark]) -> Mel:
    mels = _mels(model, options, remarks)
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


def _mels(model: str, options: Options, remarks: list[Remark]) -> int:
    mels: int = options["n_mels"]
    if model == "VGGVox" and mels != 40:
        remarks.append(Remark("misleads", "n_mels", f"VGGVox ignores n_mels {mels}: it has 40"))
        return 40
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


# --- batches, augmentation -----------------------------------------------------------------------


def _speakers(options: Options, speakers: int | None, remarks: list[Remark]) -> int:
    """Of a batch; its batch_size counts speakers."""
    batch: int = options["batch_size"]
    each = options["nPerSpeaker"]
    if each > 1:
        remarks.append(
            Remark(
                "differs",
                "batch_size",
                f"batch_size counts speakers: {batch} with nPerSpeaker {each} are {batch * each} "
                "utterances; here that is batches.speakers and batches.utterances",
            )
        )
    if speakers is not None and batch > speakers:
        remarks.append(
            Remark(
                "misleads",
                "batch_size",
                f"batch_size {batch} is more than the {speakers} speakers: no batch is ever full, "
                f"it is dropped, and an epoch trains nothing; {speakers} is taken here",
            )
        )
        batch = speakers
    if batch < 2:
        remarks.append(Remark("misleads", "batch_size", "one speaker a batch teaches nothing"))
    return max(batch, 2)


def _augment(options: Options, remarks: list[Remark]) -> Augment:
    """A fifth each of nothing, room, music, babble and noise; ours are drawn one by one."""
    if not options["augment"]:
        return Augment()
    remarks.append(
        Remark(
            "differs",
            "augment",
            "augment gives each utterance one of: nothing, a room, music, babble, noise. Here a "
            "room (0.2), babble (0.2) and an ambience (0.4, for music and noise) are drawn each "
            "by itself; `launch --rooms DIR --noise DIR` name the recordings",
        )
    )
    if options.edition != "2020":
        remarks.append(
            Remark(
                "misleads",
                "augment",
                "levels are taken with 1e-4 added, 40 dB below full scale since samples are +-1 "
                "(2021-04-24): with quiet speech the SNR is off by 3 dB and more",
            )
        )
    return Augment(
        room_probability=0.2,
        babble=Babble(),
        noise_probability=0.4,
        snr_db_low=0,
        snr_db_high=15,
    )


# --- optimiser and schedule ----------------------------------------------------------------------


def _optimiser(options: Options) -> Optimiser:
    name = _known("optimizer", options["optimizer"], ("adam", "sgd"))
    rate, decay = options["lr"], options["weight_decay"]
    if name == "sgd":
        return SGD(learning_rate=rate, momentum=0.9, l2=decay, decayed="all")
    return Adam(learning_rate=rate, l2=decay, decayed="all")


def _schedule(options: Options, remarks: list[Remark]) -> StepDecay:
    _known("scheduler", options["scheduler"], ("steplr",))
    interval = options["test_interval"]
    if "test_interval" in options.given:
        remarks.append(
            Remark(
                "misleads",
                "test_interval",
                f"test_interval {interval} is also how often the learning rate falls (times "
                f"{options['lr_decay']:g}): testing more or less often trains another network",
            )
        )
    return StepDecay(every_epochs=interval, factor=options["lr_decay"])


# --- what is said besides -------------------------------------------------------------------------


def _classes(options: Options, speakers: int | None) -> Iterator[Remark]:
    classes, name = options["nClasses"], options["trainfunc"]
    if not LOSSES[name].classes:
        if "nClasses" in options.given:
            yield Remark("dropped", "nClasses", f"{name} has no classes: no effect there either")
        return
    if speakers is not None and classes < speakers:
        yield Remark(
            "fails",
            "nClasses",
            f"nClasses {classes} is less than the {speakers} speakers of the list: the labels "
            "beyond it stop CUDA with a device-side assert",
        )
    counted = "here the speakers of the training list are counted"
    if speakers is None:
        counted = f"has to be the number of speakers in the list, or more; {counted}"
    elif classes > speakers:
        counted = f"has {classes - speakers} rows of weights that no speaker uses; {counted}"
    yield Remark("dropped", "nClasses", f"nClasses {classes} {counted}")


def _unused(options: Options) -> Iterator[Remark]:
    name = options["trainfunc"]
    for option in ("margin", "scale", "hard_rank", "hard_prob"):
        if option in options.given and option not in LOSSES[name].uses:
            yield Remark("dropped", option, f"{option} has no effect with {name}, there or here")


def _further(options: Options) -> Iterator[Remark]:
    if options.edition == "2020":
        yield Remark(
            "differs",
            "",
            "samples were +-32768 then and are +-1 here, with the same floor of 1e-6 under the "
            "mels: very quiet bands are told apart less",
        )
    if options.values.get("mixedprec"):
        yield Remark("differs", "mixedprec", "float16 with a scaled loss there, bfloat16 here")
    if "seed" in options.given:
        yield Remark(
            "misleads",
            "seed",
            "seed reaches the order of utterances alone there: weights, crops and noises differ "
            "from run to run; here it reaches all of them",
        )
    if options["initial_model"]:
        yield Remark(
            "dropped",
            "initial_model",
            f"{options['initial_model']}: no training starts from a file of the trainer here; "
            "`spksearch evaluate` reads it",
        )
    if options.values.get("distributed"):
        yield Remark(
            "differs",
            "distributed",
            "batch_size holds for each GPU there, and a loss that compares sees one GPU's share; "
            "a trial here is one process, and several run side by side",
        )
    if costs := sorted(options.given & {"dcf_p_target", "dcf_c_miss", "dcf_c_fa"}):
        yield Remark("dropped", costs[0], "minDCF is reported at 0.01 and 0.05, with unit costs")
