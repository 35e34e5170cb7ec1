"""Which of all that the log varied, from 01.1 to 128, makes the better network?"""

from typing import TYPE_CHECKING, Any

from spkmodel.config import (
    EMA,
    SGDR,
    Augment,
    Batches,
    Combined,
    DataPP,
    ExponentialDecay,
    LogNet,
    Loss,
    NAdam,
    RawWaveform,
    Schedule,
    Softmax,
    TrainConfig,
    Triplet,
    Weighted,
)

if TYPE_CHECKING:
    from optuna import Trial

Choice = Any
"""What a categorical axis gave; the config that takes it checks it."""


def space(trial: "Trial") -> TrainConfig:
    """Every entry of the log is a point of this space; what all of them share stands still."""
    activation: Choice = trial.suggest_categorical("activation", ["relu", "swish"])  # log: 01.1, 20
    loss: Loss
    out_dim: Choice
    match trial.suggest_categorical("loss", ["softmax", "triplet", "combined"]):  # log: 01.1-128
        case "softmax":
            loss, out_dim, dropout = _softmax(trial, activation), None, 0.0
            batches = trial.suggest_categorical("batch_of_one", ["32x1", "64x1"])  # log: 13
        case "triplet":
            loss = _triplet(trial, combined=False)
            out_dim = trial.suggest_categorical(
                "out_dim", [None, 64, 128, 256]
            )  # log: 100-109, 122
            dropout = trial.suggest_float("embedding_dropout", 0.0, 0.9)  # log: 100-102
            batches = trial.suggest_categorical("batch_of_pairs", ["16x2", "18x4"])  # log: 100-128
        case "combined":
            out_dim, dropout = None, 0.0
            loss = Combined(
                terms=(
                    Weighted(loss=_softmax(trial, activation)),
                    Weighted(loss=_triplet(trial, combined=True)),
                )
            )
            batches = trial.suggest_categorical("batch_of_pairs", ["16x2", "18x4"])  # log: 100-128
        case other:
            raise AssertionError(other)
    return TrainConfig(
        encoder=_encoder(trial, activation, out_dim, dropout),
        loss=loss,
        batches=_batches(batches),
        augment=Augment(data_pp=_data_pp(trial)),
        optimiser=NAdam(
            learning_rate=trial.suggest_float("learning_rate", 1e-4, 4e-3, log=True),  # log: 05
            l2=trial.suggest_float("l2", 1e-6, 1e-4, log=True),  # log: 32, 37
            momentum_decay=1e4,
        ),
        schedule=_schedule(trial),
        gradient_clip=None,
        ema=EMA(decay=0.999, warm_up=False),
    )


def _encoder(trial: "Trial", activation: Choice, out_dim: Choice, dropout: float) -> LogNet:
    channels = _channels(trial)
    merge = trial.suggest_categorical("merge", ["add", "concatenate"])  # log: 02.1, 15
    skip, order, bottleneck = True, "O1", True
    places = ["none", "after_conv", "first"]
    if merge == "add":
        skip = trial.suggest_categorical("skip", [True, False])  # log: 01.1, 02.1
        place = trial.suggest_categorical("eblock_norm_add", places)  # log: 01.2, 02.2
    else:
        order = trial.suggest_categorical("order", ["O1", "O2", "O3"])  # log: 21-26, 33
        bottleneck = trial.suggest_categorical("bottleneck", [True, False])  # log: 17
        if bottleneck:
            place = trial.suggest_categorical(  # log: 34, 35
                "eblock_norm", [*places, "between"]
            )
        else:
            place = trial.suggest_categorical("eblock_norm_wide", places)  # log: 17, 34
    return LogNet(
        waveform=RawWaveform(normalisation="peak"),
        merge=merge,
        skip=skip,
        skip_pooling=(
            trial.suggest_categorical("skip_pooling", ["average", "max"])  # log: 04
            if skip
            else "average"
        ),
        in_channels=trial.suggest_categorical("in_channels", [16, 32, 64]),  # log: 15, 19, 28
        in_kernel=trial.suggest_categorical("in_kernel", [3, 7]),  # log: 14
        in_resblock=trial.suggest_categorical("in_resblock", [True, False]),  # log: 26
        channels=channels,
        resblocks=_resblocks(trial, len(channels)),
        kernel=trial.suggest_categorical("kernel", [3, 4, 7]),  # log: 14, 16
        order=order,
        bottleneck=bottleneck,
        activation=activation,
        resblock_norm=trial.suggest_categorical(  # log: 01.2, 18, 36, 38, 100, 112
            "resblock_norm", ["none", "batch", "batch_renorm"]
        ),
        eblock_norm="none" if place == "none" else "batch",
        eblock_norm_place="after_conv" if place == "none" else place,
        se_resblock=trial.suggest_categorical("se_resblock", [True, False]),  # log: 09
        se_eblock=trial.suggest_categorical("se_eblock", [True, False]),  # log: 10
        se_first_conv=trial.suggest_categorical("se_first_conv", [True, False]),  # log: 11
        dense=_dense(trial),
        dense_skip=trial.suggest_categorical("dense_skip", [True, False]),  # log: 03
        dropout=dropout,
        out_dim=out_dim,
        embedding_norm=trial.suggest_categorical(  # log: 119-123
            "embedding_norm", ["none", "batch", "layer", "l2"]
        ),
        init="lecun",
    )


def _channels(trial: "Trial") -> tuple[int, ...]:
    match trial.suggest_categorical(  # log: 01.1, 15, 19, 28, 29, 101, 103
        "channels",
        [
            "22-512",
            "2x16 2x32 6x64",
            "2x32 8x48",
            "1x16 2x32 3x48 4x64",
            "3x32 4x48 3x64",
            "7x32",
        ],
    ):
        case "22-512":
            return (22, 32, 45, 64, 90, 128, 180, 256, 360, 512)
        case "2x16 2x32 6x64":
            return (16, 16, 32, 32, 64, 64, 64, 64, 64, 64)
        case "2x32 8x48":
            return (32, 32, 48, 48, 48, 48, 48, 48, 48, 48)
        case "1x16 2x32 3x48 4x64":
            return (16, 32, 32, 48, 48, 48, 64, 64, 64, 64)
        case "3x32 4x48 3x64":
            return (32, 32, 32, 48, 48, 48, 48, 64, 64, 64)
        case "7x32":
            return (32, 32, 32, 32, 32, 32, 32)
        case other:
            raise AssertionError(other)


def _resblocks(trial: "Trial", eblocks: int) -> tuple[int, ...]:
    match trial.suggest_categorical("resblocks", ["one each", "0 to 3"]):  # log: 27, 101, 103
        case "one each":
            return (1,) * eblocks
        case "0 to 3":
            return (0, 1, 1, 2, 2, 3, 3) if eblocks == 7 else (0, 1, 1, 2, 2, 2, 3, 3, 3, 3)
        case other:
            raise AssertionError(other)


def _dense(trial: "Trial") -> tuple[int, ...]:
    match trial.suggest_categorical(  # log: 07, 08, 101, 103
        "dense", ["512", "512 512", "1024 512", "256 256"]
    ):
        case "512":
            return (512,)
        case "512 512":
            return (512, 512)
        case "1024 512":
            return (1024, 512)
        case "256 256":
            return (256, 256)
        case other:
            raise AssertionError(other)


def _softmax(trial: "Trial", activation: Choice) -> Softmax:
    head = trial.suggest_categorical(  # log: 01.1, 113-116
        "head", ["dense", "act_dense", "act_dense_act_dense", "dense_act_dense"]
    )
    return Softmax(
        head=head,
        head_activation=None if head == "dense" else activation,
        head_dropout=trial.suggest_float("head_dropout", 0.0, 0.9),  # log: 06, 117-118
    )


def _triplet(trial: "Trial", combined: bool) -> Triplet:
    if combined:
        form = trial.suggest_categorical(  # log: 127-128
            "triplet_form", ["hinge", "softplus", "positives_only"]
        )
    else:
        form = trial.suggest_categorical("triplet_form_alone", ["hinge", "softplus"])  # log: 127
    margin = 0.0
    if form == "hinge":
        margin = trial.suggest_float("margin", 0.25, 4.0, log=True)  # log: 103-105, 121-123, 125
    return Triplet(
        margin=margin,
        mining=trial.suggest_categorical(  # log: 100, 102, 108-111, 124, 127
            "mining", ["batch_all", "batch_hard", "batch_semi_hard"]
        ),
        form=form,
        distance="euclidean",
        normalise=False,
    )


def _batches(composition: str) -> Batches:
    speakers, utterances = composition.split("x")
    return Batches(
        speakers=int(speakers), utterances=int(utterances), crop_seconds=2.0, level="peak"
    )


def _data_pp(trial: "Trial") -> DataPP | None:
    match trial.suggest_categorical(  # log: 39-41, 102, 125-126
        "data_pp", ["none", "39", "40", "41", "125"]
    ):
        case "none":
            return None
        case "39":
            return DataPP.from_entry(39)
        case "40":
            return DataPP.from_entry(40)
        case "41":
            return DataPP.from_entry(41)
        case "125":
            return DataPP.from_entry(125)
        case other:
            raise AssertionError(other)


def _schedule(trial: "Trial") -> Schedule:
    match trial.suggest_categorical("schedule", ["sgdr", "exponential_decay"]):  # log: 42
        case "sgdr":
            return SGDR()
        case "exponential_decay":
            return ExponentialDecay()
        case other:
            raise AssertionError(other)
