"""Convert the options of a voxceleb_trainer training to a config of ours.

What would have gone wrong in that trainer is added as remarks.
"""

from dataclasses import dataclass

from pydantic import ValidationError

from search.core.errors import UsageError
from search.core.validation_messages import describe_validation_error
from search.importers.voxceleb_trainer.encoder import convert_encoder, require_known
from search.importers.voxceleb_trainer.losses import LOSSES, choose_utterances
from search.importers.voxceleb_trainer.options import Options
from search.importers.voxceleb_trainer.remarks import Remark
from search.importers.voxceleb_trainer.review import review_training
from spkmodel.config import (
    SGD,
    Adam,
    Augment,
    Babble,
    Batches,
    Optimiser,
    StepDecay,
    TrainConfig,
)

_RATE = 16_000


@dataclass(frozen=True)
class ConvertedTraining:
    """The config that a training was converted to."""

    config: TrainConfig
    epochs: int
    """The trainer's max_epoch; a config of ours has none, `launch --max-epochs` sets it."""
    remarks: tuple[Remark, ...]


def convert_training(options: Options, speakers: int | None = None) -> ConvertedTraining:
    """Return the config that trains as the trainer would with `options`.

    Where that training would have stopped with an error, the least change that lets it run is
    made, and a remark says so.

    Args:
        options: as the trainer understands them.
        speakers: in its training list, where known.

    Raises:
        UsageError: if no config of ours can be like it; it says why and what would be right.
    """
    remarks = list(options.remarks)
    name = require_known("trainfunc", options["trainfunc"], LOSSES)
    batch = _choose_speakers(options, speakers, remarks)
    together = choose_utterances(name, options["nPerSpeaker"], remarks)
    encoder = convert_encoder(options, remarks)
    try:
        config = TrainConfig(
            encoder=encoder,
            loss=LOSSES[name].build(options, batch, remarks),
            batches=Batches(
                speakers=batch,
                utterances=together,
                # Frames of 25 ms every 10 ms: n frames take 160 n + 240 samples at 16 kHz.
                crop_seconds=(options["max_frames"] * 160 + 240) / _RATE,
                max_utterances_per_speaker=options["max_seg_per_spk"],
            ),
            augment=_convert_augment(options, remarks),
            optimiser=_convert_optimiser(options),
            schedule=_convert_schedule(options, remarks),
            # The trainer clips no gradients; ours would by default.
            gradient_clip=None,
            precision="bfloat16" if options.values.get("mixedprec") else "float32",
            seed=options.values.get("seed", 0),
        )
    except ValidationError as error:
        raise UsageError(
            f"no config of ours can be like this one: {describe_validation_error(error)}"
        ) from error
    remarks += review_training(options, speakers)
    return ConvertedTraining(config, options["max_epoch"], tuple(remarks))


# --- batches, augmentation -----------------------------------------------------------------------


def _choose_speakers(options: Options, speakers: int | None, remarks: list[Remark]) -> int:
    """Return the number of speakers in a batch, which is what batch_size counts."""
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


def _convert_augment(options: Options, remarks: list[Remark]) -> Augment:
    """Convert `augment`: a fifth each of nothing, room, music, babble and noise."""
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


def _convert_optimiser(options: Options) -> Optimiser:
    name = require_known("optimizer", options["optimizer"], ("adam", "sgd"))
    rate, decay = options["lr"], options["weight_decay"]
    if name == "sgd":
        return SGD(learning_rate=rate, momentum=0.9, l2=decay, decayed="all")
    return Adam(learning_rate=rate, l2=decay, decayed="all")


def _convert_schedule(options: Options, remarks: list[Remark]) -> StepDecay:
    require_known("scheduler", options["scheduler"], ("steplr",))
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
