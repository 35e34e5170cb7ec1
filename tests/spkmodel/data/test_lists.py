"""Every wrong line is found and named; every right one survives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spkmodel.data.listed_files import require_present
from spkmodel.data.lists import (
    ListError,
    Pair,
    TrainEntry,
    read_pairs,
    read_train_list,
    write_pairs,
    write_train_list,
)

GOOD = "1 wav/a/1.wav wav/a/2.wav\n0 wav/a/1.wav wav/b/1.wav\n"


def written(folder, text, name="valid_trials.txt"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_pairs_are_read_in_the_order_of_the_list(tmp_path):
    assert read_pairs(written(tmp_path, GOOD)) == [
        Pair(True, "wav/a/1.wav", "wav/a/2.wav"),
        Pair(False, "wav/a/1.wav", "wav/b/1.wav"),
    ]


def test_a_pair_may_come_twice(tmp_path):
    assert len(read_pairs(written(tmp_path, GOOD + GOOD))) == 4


@pytest.mark.parametrize(
    "text", [GOOD + "\n \n\n", GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD.replace(" ", "\t")]
)
def test_blank_lines_at_the_end_windows_lines_marks_and_tabs_are_read_alike(tmp_path, text):
    assert len(read_pairs(written(tmp_path, text))) == 2


def test_one_path_has_one_spelling(tmp_path):
    pairs = read_pairs(written(tmp_path, GOOD.replace("wav/a/1", "./wav//a/1")))
    assert pairs[0].enrolment == "wav/a/1.wav"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("wav/a/1.wav wav/a/2.wav", "2 columns; a pair is '<1|0> <path> <path>'"),
        ("1 wav/a/1.wav wav/a/2.wav 3", "4 columns"),
        ("wav/a/1.wav", "1 column;"),
        ("2 wav/a/1.wav wav/a/2.wav", "label '2'; it must be 1 (same speaker) or 0"),
        ("target wav/a/1.wav wav/a/2.wav", "label 'target'"),
        ("01 wav/a/1.wav wav/a/2.wav", "label '01'"),
        ("1 /etc/passwd wav/a/2.wav", "path /etc/passwd is absolute"),
        ("1 ~root/x.wav wav/a/2.wav", "is absolute"),
        ("1 wav/a/1.wav ../x.wav", "path ../x.wav has '..'"),
        ("1 wav/a/1.wav wav/../../x.wav", "has '..'"),
        ("1 wav/a/1.wav .", "the list's folder itself"),
        ("1 wav/a/1\0.wav wav/a/2.wav", "has a character that a list cannot hold"),
        ("1 wav/a/1\x1b.wav wav/a/2.wav", "has a character that a list cannot hold"),
        ("", "blank line inside the list"),
        (b"\xff 1", "not UTF-8"),
    ],
)
def test_a_wrong_line_is_named_with_its_number_and_the_remedy(tmp_path, line, says):
    raw = line if isinstance(line, bytes) else line.encode()
    path = written(tmp_path, GOOD.encode() + raw + b"\n" + GOOD.encode())
    with pytest.raises(ListError) as caught:
        read_pairs(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert says in str(caught.value)
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the list is empty"),
        ("\n\n", "the list is empty"),
        (GOOD.splitlines()[0], "no non-target pairs (label 0)"),
        (GOOD.splitlines()[1], "no target pairs (label 1)"),
    ],
)
def test_a_list_without_both_kinds_of_pairs_is_refused(tmp_path, text, says):
    with pytest.raises(ListError, match=r"valid_trials\.txt:\d: ") as caught:
        read_pairs(written(tmp_path, text))
    assert says in str(caught.value)


def test_a_list_that_is_not_there_is_a_list_error(tmp_path):
    with pytest.raises(ListError, match="cannot be read: No such file"):
        read_train_list(tmp_path / "train_list.txt")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a wav/a/1.wav\nwav/a/2.wav\n", 2, "1 column; a training line is '<speaker> <path>'"),
        ("a wav/a/1.wav 7\n", 1, "3 columns"),
        ("a wav/a/1.wav\nb wav/a/1.wav\n", 2, "already on line 1; list each utterance once"),
        ("a /wav/a/1.wav\n", 1, "absolute"),
    ],
)
def test_a_wrong_training_line_is_named(tmp_path, text, line, says):
    with pytest.raises(ListError) as caught:
        read_train_list(written(tmp_path, text))
    assert caught.value.line == line
    assert says in str(caught.value)


names = st.from_regex(r"[a-z0-9é_-]{1,8}", fullmatch=True)
utterances = st.tuples(names, names).map(lambda two: f"wav/{two[0]}/{two[1]}.wav")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.builds(TrainEntry, names, utterances), min_size=1, max_size=9, unique_by=lambda e: e.path
    )
)
def test_a_training_list_survives_being_written(tmp_path_factory, entries):
    path = tmp_path_factory.getbasetemp() / "train_list.txt"
    write_train_list(path, entries)
    assert read_train_list(path) == entries


@settings(max_examples=25, deadline=None)
@given(st.lists(st.builds(Pair, st.booleans(), utterances, utterances), max_size=9))
def test_pairs_survive_being_written(tmp_path_factory, pairs):
    path = tmp_path_factory.getbasetemp() / "pairs.txt"
    pairs = [*pairs, Pair(True, "a/1", "a/2"), Pair(False, "a/1", "b/1")]
    write_pairs(path, pairs)
    assert read_pairs(path) == pairs


def test_nothing_is_left_beside_a_written_list(tmp_path):
    write_pairs(tmp_path / "pairs.txt", [Pair(True, "a/1", "a/2")])
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.txt"]


def test_a_name_that_no_file_can_have_is_missing(tmp_path):
    long = "x" * 300
    lines = f"a wav/{long}/1.wav\na b c {long}\n"
    found = []
    entries = read_train_list(written(tmp_path, lines, "train_list.txt"), found.append)
    listed = {tmp_path / "train_list.txt": [(1, (entries[0].path,))]}
    assert require_present(tmp_path, listed, found.append) == {entries[0].path}
    assert [problem.kind for problem in found] == ["columns", "missing"]


@pytest.mark.parametrize("line", ["{0}", "1 {0} {0}", "{0} {0} target", "{0}.wav a", "a {0}/\x1b"])
def test_a_line_of_a_megabyte_is_not_shown_whole(tmp_path, line):
    text = line.format("x" * 1_000_000)
    path = written(tmp_path, f"{text}\n")
    for read in (read_train_list, read_pairs):
        for problem in _problems(read, path):
            assert len(str(problem)) < 5000


def _problems(read, path):
    found = []
    read(path, found.append)
    assert found or read is read_train_list
    return found
