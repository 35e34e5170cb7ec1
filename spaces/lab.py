"""Which of the lab's networks, which loss, how wide an embedding? As voxceleb_trainer trains."""

from typing import TYPE_CHECKING

from spkmodel.config import (
    AAMSoftmax,
    Adam,
    AMSoftmax,
    AngularPrototypical,
    Batches,
    Combined,
    Encoder,
    LinearMel,
    LogMel,
    Loss,
    Mel,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    Softmax,
    StepDecay,
    TrainConfig,
    Triplet,
    Weighted,
)

if TYPE_CHECKING:
    from optuna import Trial


def space(trial: "Trial") -> TrainConfig:  # noqa: C901, PLR0915 - one case a network and a loss
    """The report's three networks and what it changes on them; for 200 training speakers or more.

    The trainer's options that the report leaves alone are as they were in September 2020.
    """
    network = trial.suggest_categorical(
        "network", ["resnet_se_34l", "resnet_se_34_half", "resnet_se_34_v2"]
    )  # log: lab 2.1, 4.2, 2.2
    pooling = trial.suggest_categorical("pooling", ["sap", "asp"])  # log: lab 2.1, 2.2
    width = trial.suggest_int("embedding_dim", 32, 512, log=True)  # log: lab 4.3
    mels = trial.suggest_categorical("mels", [40, 64])  # log: lab 3, 2.2
    pre_emphasis = 0.97 if network == "resnet_se_34_v2" else 0.0
    features: Mel = LinearMel(mels=mels, pre_emphasis=pre_emphasis)
    if trial.suggest_categorical("log_input", [True, False]):  # log: lab 2.1, 3
        features = LogMel(mels=mels, normalisation="instance", pre_emphasis=pre_emphasis)
    encoder: Encoder
    match network:
        case "resnet_se_34l":
            encoder = ResNetSE34L(features=features, pooling=pooling, embedding_dim=width)
        case "resnet_se_34_half":
            encoder = ResNetSE34Half(features=features, pooling=pooling, embedding_dim=width)
        case "resnet_se_34_v2":
            encoder = ResNetSE34V2(features=features, pooling=pooling, embedding_dim=width)
        case other:
            raise AssertionError(other)
    loss: Loss
    utterances = 1
    match trial.suggest_categorical(
        "loss", ["softmax", "amsoftmax", "aamsoftmax", "angleproto", "softmaxproto", "triplet"]
    ):  # log: lab 3, 2.1, 2.2, 4.2
        case "softmax":
            loss = Softmax()
        case "amsoftmax":
            loss = AMSoftmax(
                margin=trial.suggest_float("amsoftmax_margin", 0.05, 0.4),  # log: lab 3
                scale=trial.suggest_float("amsoftmax_scale", 15.0, 40.0),  # log: lab 3
            )
        case "aamsoftmax":
            loss = AAMSoftmax(
                margin_rad=trial.suggest_float("aamsoftmax_margin_rad", 0.05, 0.5),
                scale=trial.suggest_float("aamsoftmax_scale", 15.0, 40.0),
            )
        case "angleproto":
            loss, utterances = AngularPrototypical(), 2
        case "softmaxproto":
            terms = (Weighted(loss=Softmax()), Weighted(loss=AngularPrototypical()))
            loss, utterances = Combined(terms=terms), 2
        case "triplet":
            loss, utterances = (
                Triplet(
                    margin=trial.suggest_float(
                        "triplet_margin", 0.05, 1.0, log=True
                    ),  # log: lab 4.2
                    mining="rank",
                    hard_rank=10,
                    hard_probability=trial.suggest_float("hard_probability", 0.0, 1.0),
                    distance="squared",
                ),
                2,
            )
        case other:
            raise AssertionError(other)
    return TrainConfig(
        encoder=encoder,
        loss=loss,
        batches=Batches(
            speakers=trial.suggest_categorical("batch_speakers", [20, 200]),  # log: lab 4.2, 3
            utterances=utterances,
            crop_seconds=2.015,
            max_utterances_per_speaker=100,
        ),
        optimiser=Adam(learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)),
        schedule=StepDecay(),
        gradient_clip=None,
    )
