"""Small corpora, each with one thing wrong with it or worth knowing: a case a function.

They are made from the built-in corpus, as `make_cases.py` makes them from a corpus of one's own.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.support.corpora.base import DEV, EACH, RATE, TEST, TRAIN, Case, draw_pairs
from tests.support.corpora.compressed_files import write_compressed


def make_case(name: str, base: Path, folder: Path) -> Case:
    """Copy the base, write its lists, and make it the case of a name in `CASES`."""
    shutil.copytree(base, folder)
    rows = [
        (f"s{number:02d}", f"wav/s{number:02d}/u{utterance}.wav")
        for number in range(TRAIN + DEV + TEST)
        for utterance in range(EACH)
    ]
    case = Case(folder, rows[: TRAIN * EACH], draw_pairs(TRAIN, DEV))
    case.write("train_list.txt", case.training)
    case.write("valid_trials.txt", case.dev)
    case.write("test_trials.txt", draw_pairs(TRAIN + DEV, TEST))
    CASES[name](case)
    return case


def _good(case: Case) -> None:
    pass


def _streamed_wav(case: Case) -> None:
    case.patch_length(case.training[0][1], 0x7FFFF000)


def _streamed_wav_zero(case: Case) -> None:
    case.patch_length(case.training[0][1], 0)


def _cut_wav(case: Case) -> None:
    case.patch_length(case.training[0][1], 100_000)


def _silent(case: Case) -> None:
    for path in (case.training[0][1], case.dev[0][1]):
        case.set_samples(path, np.zeros(RATE))


def _silent_without_lists(case: Case) -> None:
    case.remove_lists()
    for speaker in range(TRAIN + DEV + TEST):
        case.set_samples(f"wav/s{speaker:02d}/u0.wav", np.zeros(RATE))


def _float_above_one(case: Case) -> None:
    path = case.training[0][1]
    speech = case.samples(path)
    case.set_samples(path, 3 * speech / np.abs(speech).max(), form="FLOAT")


def _clipped(case: Case) -> None:
    path = case.training[0][1]
    speech = case.samples(path)
    case.set_samples(path, np.clip(9 * speech / np.abs(speech).max(), -1, 1))


def _self_pairs(case: Case) -> None:
    pairs = [(1, a, a) if label else (0, a, b) for label, a, b in case.dev]
    case.write("valid_trials.txt", pairs * 2)


def _two_dev_speakers(case: Case) -> None:
    case.write("valid_trials.txt", draw_pairs(TRAIN, 2))


def _one_utterance_each(case: Case) -> None:
    case.write("train_list.txt", case.training[::EACH])


def _one_speaker(case: Case) -> None:
    case.write("train_list.txt", case.training[:EACH])


def _kaldi_order(case: Case) -> None:
    rows = [(a, b, "target" if label else "nontarget") for label, a, b in case.dev]
    case.write("valid_trials.txt", rows)


def _label_words(case: Case) -> None:
    rows = [("target" if label else "nontarget", a, b) for label, a, b in case.dev]
    case.write("valid_trials.txt", rows)


def _swapped_columns(case: Case) -> None:
    case.write("train_list.txt", [(path, speaker) for speaker, path in case.training])


def _commas(case: Case) -> None:
    case.write("train_list.txt", case.training, separator=",")
    case.write("valid_trials.txt", case.dev, separator=",")


def _with_spaces(case: Case) -> list[tuple[str, str]]:
    """Put all files below a folder with a space in its name."""
    (case.folder / "wav").rename(case.folder / "my wav")
    (case.folder / "valid_trials.txt").unlink()
    (case.folder / "test_trials.txt").unlink()
    return [(speaker, path.replace("wav/", "my wav/", 1)) for speaker, path in case.training]


def _tabs_and_spaces(case: Case) -> None:
    case.write("train_list.txt", _with_spaces(case), separator="\t")


def _quotes_and_spaces(case: Case) -> None:
    rows = [(speaker, f'"{case.folder / path}"') for speaker, path in _with_spaces(case)]
    case.write("train_list.txt", rows)


def _space_in_name(case: Case) -> None:
    speaker, path = case.training[0]
    new = f"wav/{speaker}/my file.wav"
    (case.folder / path).rename(case.folder / new)
    case.write("train_list.txt", [(speaker, new), *case.training[1:]])
    other = case.training[1][1]
    case.set_samples(other, case.samples(other)[::2], rate=8000)


def _space_in_pair(case: Case) -> None:
    _, old, _ = case.dev[0]
    new = f"{Path(old).parent}/it's my file.wav"
    (case.folder / old).rename(case.folder / new)
    rows = [(label, *(new if each == old else each for each in pair)) for label, *pair in case.dev]
    case.write("valid_trials.txt", rows)


def _space_in_layout(case: Case) -> None:
    case.remove_lists()
    (case.folder / "wav/s01/u1.wav").rename(case.folder / "wav/s01/a b  c.wav")
    (case.folder / "wav/s02").rename(case.folder / "wav/Anna Maria")


def _absolute_paths(case: Case) -> None:
    rows = [(speaker, case.folder.resolve() / path) for speaker, path in case.training]
    case.write("train_list.txt", rows)


def _absolute_elsewhere(case: Case) -> None:
    there = case.folder.parent / "disk.1&2"
    (case.folder / "wav").rename(there)
    moved = {"train_list.txt": case.training, "valid_trials.txt": case.dev}
    moved["test_trials.txt"] = draw_pairs(TRAIN + DEV, TEST)
    for name, rows in moved.items():
        case.write(name, [[str(e).replace("wav/", f"{there}/") for e in row] for row in rows])


def _backslashes(case: Case) -> None:
    rows = [(speaker, path.replace("/", "\\")) for speaker, path in case.training]
    case.write("train_list.txt", rows)
    pairs = [(label, a.replace("/", "\\"), b.replace("/", "\\")) for label, a, b in case.dev]
    case.write("valid_trials.txt", pairs)


def _without_wav(case: Case) -> None:
    case.write("train_list.txt", [(s, path.removeprefix("wav/")) for s, path in case.training])
    pairs = [(label, a.removeprefix("wav/"), b.removeprefix("wav/")) for label, a, b in case.dev]
    case.write("valid_trials.txt", pairs)


def _other_suffix(case: Case) -> None:
    for path in list(case.folder.rglob("*.wav")):
        path.rename(path.with_suffix(".flac"))


def _m4a_for_wav(case: Case) -> None:
    for path in list(case.folder.rglob("*.wav")):
        write_compressed(path.with_suffix(".m4a"), "aac", case.samples(path), RATE)
        path.unlink()


def _m4a_names(case: Case) -> None:
    case.remove_lists()
    _m4a_for_wav(case)


def _sources_beside(case: Case) -> None:
    case.remove_lists()
    for path in list(case.folder.rglob("*.wav")):
        path.with_suffix(".m4a").write_bytes(b"what it was converted from")


def _dss_for_wav(case: Case) -> None:
    for path in list(case.folder.rglob("*.wav")):
        path.rename(path.with_suffix(".dss"))


def _dss_names(case: Case) -> None:
    case.remove_lists()
    _dss_for_wav(case)


def _dss_beside(case: Case) -> None:
    (case.folder / "wav/s00/more.dss").write_bytes(b"\2dss")


def _text_beside(case: Case) -> None:
    for name in ("u0.txt", "u1.txt", "u1.lab", "README"):
        (case.folder / "wav/s00" / name).write_text("what was said")


def _one_level_too_high(case: Case) -> None:
    case.remove_lists()
    for path in list((case.folder / "wav").iterdir()):
        path.rename(case.folder / path.name)
    (case.folder / "wav").rmdir()


def _one_level_too_deep(case: Case) -> None:
    case.remove_lists()
    (case.folder / "release 2").mkdir()
    (case.folder / "wav").rename(case.folder / "release 2" / "audio")


def _same_bytes_two_speakers(case: Case) -> None:
    data = (case.folder / case.training[0][1]).read_bytes()
    (case.folder / case.training[EACH][1]).write_bytes(data)


def _same_bytes_one_speaker(case: Case) -> None:
    data = (case.folder / case.training[0][1]).read_bytes()
    (case.folder / case.training[1][1]).write_bytes(data)


def _wrong_table(case: Case) -> None:
    (case.folder / "speakers.tsv").write_text("speaker\tgender\ns00\tf\tmore\n")


def _table_is_a_device(case: Case) -> None:
    (case.folder / "utterances.tsv").symlink_to("/dev/zero")


def _list_is_a_device(case: Case) -> None:
    (case.folder / "train_list.txt").unlink()
    (case.folder / "train_list.txt").symlink_to("/dev/zero")


CASES: dict[str, Callable[[Case], None]] = {
    function.__name__.removeprefix("_"): function
    for function in (
        _good,
        _streamed_wav,
        _streamed_wav_zero,
        _cut_wav,
        _silent,
        _silent_without_lists,
        _float_above_one,
        _clipped,
        _self_pairs,
        _two_dev_speakers,
        _one_utterance_each,
        _one_speaker,
        _kaldi_order,
        _label_words,
        _swapped_columns,
        _commas,
        _tabs_and_spaces,
        _quotes_and_spaces,
        _space_in_name,
        _space_in_pair,
        _space_in_layout,
        _absolute_paths,
        _absolute_elsewhere,
        _backslashes,
        _without_wav,
        _other_suffix,
        _m4a_for_wav,
        _m4a_names,
        _sources_beside,
        _dss_for_wav,
        _dss_names,
        _dss_beside,
        _text_beside,
        _one_level_too_high,
        _one_level_too_deep,
        _same_bytes_two_speakers,
        _same_bytes_one_speaker,
        _wrong_table,
        _table_is_a_device,
        _list_is_a_device,
    )
}
