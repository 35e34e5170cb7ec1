"""Convert voxceleb_trainer's losses to ours, and say what each needs of a batch."""

from collections.abc import Callable
from dataclasses import dataclass

from search.importers.voxceleb_trainer.options import Options
from search.importers.voxceleb_trainer.remarks import Remark
from spkmodel.config import (
    GE2E,
    AAMSoftmax,
    AMSoftmax,
    AngularPrototypical,
    Combined,
    Loss,
    Prototypical,
    Softmax,
    Triplet,
    Weighted,
)

_LARGEST_COSINE_MARGIN = 1.0
_CLASS_MARGIN = 0.3
"""The margin of its loss classes, which its command line always overrides."""


@dataclass(frozen=True)
class TrainerLoss:
    """A loss of the trainer, and how to build ours."""

    utterances: str
    """How many of a speaker it takes: exactly `one`, exactly `two`, or two and `more`."""
    classes: bool
    """Whether it has a row of weights for each speaker."""
    uses: tuple[str, ...]
    """Those of margin, scale, hard_rank and hard_prob that it uses."""
    build: Callable[[Options, int, list[Remark]], Loss]
    """Called with the options, the speakers in a batch, and the list that remarks are added to."""


def _build_softmax(_options: Options, _speakers: int, _remarks: list[Remark]) -> Loss:
    return Softmax()


def _build_am_softmax(options: Options, _speakers: int, remarks: list[Remark]) -> Loss:
    margin = options["margin"]
    if not 0 <= margin < _LARGEST_COSINE_MARGIN:
        remarks.append(
            Remark(
                "misleads",
                "margin",
                f"amsoftmax with margin {margin:g} asks for a cosine above that of any other by "
                f"as much as cosines range over (1 is the default of 2020); {_CLASS_MARGIN} is "
                "taken here, that of its loss class",
            )
        )
        margin = _CLASS_MARGIN
    return AMSoftmax(margin=margin, scale=options["scale"])


def _build_aam_softmax(options: Options, _speakers: int, _remarks: list[Remark]) -> Loss:
    return AAMSoftmax(margin_rad=options["margin"], scale=options["scale"], fallback="sine_line")


def _build_angular(_options: Options, _speakers: int, remarks: list[Remark]) -> Loss:
    remarks.append(
        Remark(
            "differs",
            "trainfunc",
            "its learned scale w may become negative (its clamp changes nothing); here it stays "
            "positive",
        )
    )
    return AngularPrototypical(initial_scale=10.0, initial_bias=-5.0)


def _build_ge2e(_options: Options, _speakers: int, _remarks: list[Remark]) -> Loss:
    return GE2E(initial_scale=10.0, initial_bias=-5.0, floor_cosines=True)


def _build_prototypical(_options: Options, _speakers: int, remarks: list[Remark]) -> Loss:
    remarks.append(
        Remark(
            "misleads",
            "trainfunc",
            "proto trains something else with torch 2: its pairwise_distance runs over another "
            "axis than in 2020, and nothing stops",
        )
    )
    return Prototypical()


def _build_softmax_prototypical(options: Options, speakers: int, remarks: list[Remark]) -> Loss:
    terms = (_build_softmax(options, speakers, remarks), _build_angular(options, speakers, remarks))
    return Combined(terms=tuple(Weighted(loss=loss) for loss in terms))


def _build_triplet(options: Options, speakers: int, remarks: list[Remark]) -> Loss:
    remarks.append(
        Remark(
            "fails",
            "trainfunc",
            "triplet stops in its mining with torch 2, at any nPerSpeaker (IndexError: its "
            "pairwise_distance runs over another axis than in 2020); here it works",
        )
    )
    rank = options["hard_rank"]
    # A negative rank means semi-hard mining there.
    if rank < 0:
        return Triplet(margin=options["margin"], distance="squared", mining="random_semi_hard")
    if rank > speakers - 2:
        remarks.append(
            Remark(
                "fails",
                "hard_rank",
                f"hard_rank {rank} chooses among {rank + 1} other speakers, a batch of {speakers} "
                f"has {speakers - 1}: IndexError; {max(0, speakers - 2)} is taken here",
            )
        )
        rank = max(0, speakers - 2)
    return Triplet(
        margin=options["margin"],
        distance="squared",
        mining="rank",
        hard_rank=rank,
        hard_probability=options["hard_prob"],
    )


LOSSES: dict[str, TrainerLoss] = {
    "softmax": TrainerLoss("one", True, (), _build_softmax),
    "amsoftmax": TrainerLoss("one", True, ("margin", "scale"), _build_am_softmax),
    "aamsoftmax": TrainerLoss("one", True, ("margin", "scale"), _build_aam_softmax),
    "angleproto": TrainerLoss("more", False, (), _build_angular),
    "ge2e": TrainerLoss("more", False, (), _build_ge2e),
    "proto": TrainerLoss("more", False, (), _build_prototypical),
    "softmaxproto": TrainerLoss("two", True, (), _build_softmax_prototypical),
    "triplet": TrainerLoss("two", False, ("margin", "hard_rank", "hard_prob"), _build_triplet),
}


def choose_utterances(name: str, asked: int, remarks: list[Remark]) -> int:
    """Return how many utterances of a speaker to take: as asked for, or what the loss needs.

    Args:
        name: the trainer's name of the loss.
        asked: the option nPerSpeaker.
        remarks: what the trainer would have done is added here.
    """
    wants = LOSSES[name].utterances
    if wants == "one" and asked > 1:
        remarks.append(
            Remark(
                "fails",
                "nPerSpeaker",
                f"{name} takes one embedding a label and gets {asked} of each speaker: it stops "
                f"in the loss; here {asked} utterances of a speaker are fine",
            )
        )
    if wants == "two" and asked != 2:
        remarks.append(
            Remark(
                "fails",
                "nPerSpeaker",
                f"{name} with nPerSpeaker {asked} stops at `assert x.size()[1] == 2` (the lab "
                "report's failure): it wants pairs of one speaker, nPerSpeaker 2; "
                + ("2 is taken here" if asked < 2 else f"here {asked} are fine"),
            )
        )
    if wants == "more" and asked < 2:
        remarks.append(
            Remark(
                "fails",
                "nPerSpeaker",
                f"{name} with nPerSpeaker {asked} stops at `assert x.size()[1] >= 2`: it compares "
                "utterances of one speaker; 2 is taken here",
            )
        )
    return max(asked, 1 if wants == "one" else 2)
