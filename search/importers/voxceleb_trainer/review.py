"""Review options of voxceleb_trainer for what has no effect, is dropped, or would go wrong."""

from collections.abc import Iterator

from search.importers.voxceleb_trainer.losses import LOSSES
from search.importers.voxceleb_trainer.options import Options
from search.importers.voxceleb_trainer.remarks import Remark


def review_training(options: Options, speakers: int | None) -> list[Remark]:
    """Return the remarks on options that become no field of a config."""
    return [
        *_review_classes(options, speakers),
        *_review_unused(options),
        *_review_others(options),
    ]


def review_evaluation(options: Options) -> list[Remark]:
    """Return the remarks on an evaluation."""
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


def _review_classes(options: Options, speakers: int | None) -> Iterator[Remark]:
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


def _review_unused(options: Options) -> Iterator[Remark]:
    name = options["trainfunc"]
    for option in ("margin", "scale", "hard_rank", "hard_prob"):
        if option in options.given and option not in LOSSES[name].uses:
            yield Remark("dropped", option, f"{option} has no effect with {name}, there or here")


def _review_others(options: Options) -> Iterator[Remark]:
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
