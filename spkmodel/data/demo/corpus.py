"""Make the built-in corpus: its audio and its lists, the same for the same seed."""

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np

from spkmodel.core.progress import Progress, silent
from spkmodel.core.temporary import remove_abandoned, temporary_beside
from spkmodel.data.demo import DemoCorpusError
from spkmodel.data.demo.speech import record_voices
from spkmodel.data.demo.voices import is_high_voice, utterance_path, voice_name
from spkmodel.data.lists import Pair, TrainEntry, write_pairs, write_train_list

VERSION = 1
"""Raised when the same seed would give other bytes."""

FEWEST_VOICES = 6

_MARK = "demo.json"
_HELD_OUT_FRACTION = 0.15


def make_demo_corpus(
    folder: Path,
    voices: int = 100,
    utterances: int = 8,
    seed: int = 0,
    progress: Progress = silent,
) -> Path:
    """Make the corpus and its lists in `folder` and return the folder; progress counts utterances.

    A folder that already holds this very corpus is returned as it is. The corpus appears in one
    step; the same arguments give the same bytes.

    Raises:
        DemoCorpusError: if eSpeak NG is not installed or fails, or the folder holds something else.
        ValueError: if there would be too few voices for speaker-disjoint lists.
    """
    if voices < FEWEST_VOICES or utterances < 2:
        raise ValueError(
            f"the built-in corpus needs at least {FEWEST_VOICES} voices x 2 utterances, "
            f"got {voices} x {utterances}"
        )
    recipe = {"version": VERSION, "voices": voices, "utterances": utterances, "seed": seed}
    if _is_made(folder, recipe):
        return folder
    loader = _import_loader()
    building = temporary_beside(folder.absolute())
    remove_abandoned(building.parent)
    try:
        building.mkdir(parents=True)
        record_voices(building, loader, recipe, progress)
        _write_lists(building, voices, utterances, seed)
        (building / _MARK).write_text(json.dumps(recipe, sort_keys=True) + "\n")
        _move_into_place(building, folder, recipe)
    except OSError as error:
        raise DemoCorpusError(f"{folder}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _is_made(folder: Path, recipe: dict[str, int]) -> bool:
    mark = folder / _MARK
    if mark.is_file():
        found = mark.read_text(errors="replace").strip()
        if found == json.dumps(recipe, sort_keys=True):
            return True
        raise DemoCorpusError(
            f"{folder}: holds another built-in corpus ({found}); remove it or name another folder"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DemoCorpusError(
            f"{folder}: holds something else than a built-in corpus; name a new or empty folder"
        )
    return False


def _move_into_place(building: Path, folder: Path, recipe: dict[str, int]) -> None:
    try:
        building.replace(folder)
    except OSError:
        # Another process may have been first.
        if not _is_made(folder, recipe):
            raise


def _import_loader() -> ModuleType:
    try:
        import espeakng_loader
    except ImportError as error:
        raise DemoCorpusError(
            "the built-in corpus is spoken by eSpeak NG, which is not installed; "
            "pip install 'spksearch[demo]'"
        ) from error
    return cast(ModuleType, espeakng_loader)


# --- lists -----------------------------------------------------------------------------------


def _write_lists(folder: Path, voices: int, utterances: int, seed: int) -> None:
    held_out = max(2, round(_HELD_OUT_FRACTION * voices))
    training = range(voices - 2 * held_out)
    write_train_list(
        folder / "train_list.txt",
        [
            TrainEntry(speaker=voice_name(voice), path=utterance_path(voice, utterance))
            for voice in training
            for utterance in range(utterances)
        ],
    )
    for number, name in enumerate(("valid_trials.txt", "test_trials.txt")):
        first = len(training) + number * held_out
        chance = np.random.default_rng((seed, 1, number))
        write_pairs(
            folder / name, _balanced_pairs(range(first, first + held_out), utterances, seed, chance)
        )


def _balanced_pairs(
    voices: range, utterances: int, seed: int, chance: np.random.Generator
) -> list[Pair]:
    """Return all target pairs and as many non-target ones, half of these within one pitch class."""
    spoken = [(voice, utterance) for voice in voices for utterance in range(utterances)]
    targets: list[Pair] = []
    alike: list[Pair] = []
    unlike: list[Pair] = []
    high = {voice: is_high_voice(voice, seed) for voice in voices}
    for place, one in enumerate(spoken):
        for other in spoken[place + 1 :]:
            same = one[0] == other[0]
            kind = targets if same else alike if high[one[0]] == high[other[0]] else unlike
            kind.append(
                Pair(target=same, enrolment=utterance_path(*one), test=utterance_path(*other))
            )
    from_alike = min(len(targets) // 2, len(alike))
    from_unlike = min(len(targets) - from_alike, len(unlike))
    chosen = [
        *targets,
        *_draw_pairs(alike, from_alike, chance),
        *_draw_pairs(unlike, from_unlike, chance),
    ]
    return _draw_pairs(chosen, len(chosen), chance)


def _draw_pairs(pairs: list[Pair], count: int, chance: np.random.Generator) -> list[Pair]:
    return [pairs[place] for place in chance.permutation(len(pairs))[:count]]
