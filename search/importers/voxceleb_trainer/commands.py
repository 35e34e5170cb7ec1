"""Format the commands that do here what the trainer would have done."""

from pathlib import PurePosixPath

from search.evaluation.protocol import EVAL_FRAMES
from search.importers.voxceleb_trainer.options import Options
from spkmodel.core.shell import quote_path


def format_training_commands(options: Options, space: str, epochs: int, corpus: str) -> list[str]:
    """Return the commands that search a space of this one config, list its trials and promote.

    Args:
        options: as the trainer understands them.
        space: the file that was written, or is to be.
        epochs: how many to train.
        corpus: its folder.
    """
    name = quote_path(PurePosixPath(space).stem)
    recordings = " --noise NOISE --rooms ROOMS" if options["augment"] else ""
    return [
        f"spksearch launch {quote_path(space)} --corpus {quote_path(corpus)} --trials 1 "
        f"--max-epochs {epochs}{recordings}",
        f"spksearch trials {name}",
        f"spksearch promote {name}",
    ]


def format_evaluation_commands(options: Options, corpus: str) -> list[str]:
    """Return the command that evaluates as `--eval` does: mean distance of 10 x 10 crops."""
    words = ["spksearch", "evaluate", options["initial_model"] or "FILE.model"]
    words += ["--corpus", corpus, "--pairs", PurePosixPath(options["test_list"]).name or "FILE"]
    if options["eval_frames"] > 0:
        words += ["--crops", "10", "--backend", "crop_distance"]
        frames = options["eval_frames"]
        words += [] if frames == EVAL_FRAMES else ["--eval-frames", str(frames)]
    return [" ".join(quote_path(word) for word in [*words, *_list_reading_flags(options)])]


def _list_reading_flags(options: Options) -> list[str]:
    """Return the flags for what a checkpoint does not record and the options say."""
    flags = []
    if options["model"] == "RawNet3":
        stride = options.values.get("sinc_stride", 10)
        return [] if stride == 10 else ["--sinc-stride", str(stride)]
    if not options["log_input"]:
        flags.append("--no-log-input")
    if options.edition == "2020":
        flags.append("--int16-scale")
    if options["model"] == "VGGVox" and options["encoder_type"] in ("TAP", "MAX"):
        flags += ["--vggvox-pooling", {"TAP": "mean", "MAX": "max"}[options["encoder_type"]]]
    return flags
