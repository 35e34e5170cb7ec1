"""List the options of voxceleb_trainer: names, types and defaults of each of its editions."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from search.importers.voxceleb_trainer.remarks import Remark

Edition = Literal["2020", "2021", "2026"]
"""Editions. 2020: up to 2020-11-23, used in the lab report. 2021: from then to 2026-04-15. 2026:
since."""
EDITIONS: tuple[Edition, ...] = ("2020", "2021", "2026")

SWITCHES = ("log_input", "augment")
"""Options that take a value up to 2026, and none since."""


@dataclass(frozen=True)
class TrainerOption:
    """An option of the trainer, with its type and default."""

    name: str
    kind: type
    default: Any
    since: Edition = "2020"
    early: Any = None
    """The default in 2020, where it was another."""


OPTIONS = (
    TrainerOption("config", str, None),
    TrainerOption("max_frames", int, 200),
    TrainerOption("eval_frames", int, 300),
    TrainerOption("batch_size", int, 200),
    TrainerOption("max_seg_per_spk", int, 500, early=100),
    TrainerOption("nDataLoaderThread", int, 5),
    TrainerOption("augment", bool, False),
    TrainerOption("seed", int, 10, since="2021"),
    TrainerOption("test_interval", int, 10),
    TrainerOption("max_epoch", int, 500),
    TrainerOption("trainfunc", str, ""),
    TrainerOption("optimizer", str, "adam"),
    TrainerOption("scheduler", str, "steplr"),
    TrainerOption("lr", float, 0.001),
    TrainerOption("lr_decay", float, 0.95),
    TrainerOption("weight_decay", float, 0.0),
    TrainerOption("hard_prob", float, 0.5),
    TrainerOption("hard_rank", int, 10),
    TrainerOption("margin", float, 0.1, early=1.0),
    TrainerOption("scale", float, 30.0, early=15.0),
    TrainerOption("nPerSpeaker", int, 1),
    TrainerOption("nClasses", int, 5994),
    TrainerOption("dcf_p_target", float, 0.05, since="2021"),
    TrainerOption("dcf_c_miss", float, 1.0, since="2021"),
    TrainerOption("dcf_c_fa", float, 1.0, since="2021"),
    TrainerOption("initial_model", str, ""),
    TrainerOption("save_path", str, "exps/exp1", early="./data/exp1"),
    TrainerOption("train_list", str, "data/train_list.txt", early=""),
    TrainerOption("test_list", str, "data/veri_test.txt", early=""),
    TrainerOption("train_path", str, "data/voxceleb2/dev/wav", early="data/voxceleb2"),
    TrainerOption("test_path", str, "data/voxceleb1/test/wav", early="data/voxceleb1"),
    TrainerOption("musan_path", str, "data/musan_split"),
    TrainerOption("rir_path", str, "data/RIRS_NOISES/simulated_rirs"),
    TrainerOption("n_mels", int, 40),
    TrainerOption("log_input", bool, False),
    TrainerOption("model", str, ""),
    TrainerOption("encoder_type", str, "SAP"),
    TrainerOption("nOut", int, 512),
    TrainerOption("sinc_stride", int, 10, since="2021"),
    TrainerOption("eval", bool, False),
    TrainerOption("port", str, "8888", since="2021"),
    TrainerOption("distributed", bool, False, since="2021"),
    TrainerOption("mixedprec", bool, False, since="2021"),
    TrainerOption("gpu_id", int, 0, since="2026"),
)
PLAIN_FLAGS = ("eval", "distributed", "mixedprec")


def make_unknown_remark(
    name: str, known: Mapping[str, TrainerOption], where: str, fate: str
) -> Remark:
    """Return the remark on a name that is no option of this edition, with the nearest one."""
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"{lower[near[0]]} is meant, probably" if near else "there is nothing like it"
    kind: Literal["fails", "misleads"] = "fails" if "stops" in fate else "misleads"
    return Remark(kind, name, f"{name} in {where} is no option and {fate}; {hint}")
