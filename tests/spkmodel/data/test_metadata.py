"""Tables of speakers and utterances are read as written, or refused with their line."""

import pytest

from spkmodel.data.lists import ListError
from spkmodel.data.metadata import duration, read_columns


def write(folder, speakers=None, utterances=None):
    for name, text in (("speakers.tsv", speakers), ("utterances.tsv", utterances)):
        if text is not None:
            (folder / name).write_text(text)
    return folder


def test_columns_of_both_tables_are_read_and_an_empty_cell_is_unknown(tmp_path):
    columns = read_columns(
        write(
            tmp_path,
            "speaker\tgender\tage\r\na\tf\t6\r\nb\t\t 31 \r\n",
            "path\tsnr_db\twhere\nwav/a/1.wav\t-3.5\t\nwav/b/1.wav\t12\tat home\n\n",
        )
    )
    assert list(columns) == ["gender", "age", "snr_db", "where"]
    assert columns["gender"].words == {"a": "f"}
    assert columns["gender"].numbers() is None
    assert columns["age"].numbers() == {"a": 6, "b": 31}
    assert columns["snr_db"].numbers() == {"wav/a/1.wav": -3.5, "wav/b/1.wav": 12}
    assert columns["where"].words == {"wav/b/1.wav": "at home"}
    assert [column.kind for column in columns.values()] == ["speaker"] * 2 + ["utterance"] * 2


def test_an_empty_last_cell_of_the_last_line_is_a_cell(tmp_path):
    columns = read_columns(write(tmp_path, "speaker\tgender\na\tf\nb\t\n"))
    assert columns["gender"].words == {"a": "f"}


def test_a_corpus_without_tables_has_no_columns_but_its_durations(tmp_path):
    assert read_columns(tmp_path) == {}
    assert duration({"wav/a/1.wav": 2.5}).numbers() == {"wav/a/1.wav": 2.5}


@pytest.mark.parametrize(
    ("speakers", "utterances", "words"),
    [
        ("", None, r"speakers\.tsv:1: .*the first of them 'speaker'"),
        ("speaker gender\n", None, "1: the first line is 'speaker gender'; .* parted by tabs"),
        ("speaker\n", None, "1: the first line is 'speaker'"),
        ("gender\tspeaker\n", None, "the first of them 'speaker'"),
        ("speaker\tgender\ngender\n", None, "2: 1 cells, but the first line names 2"),
        ("speaker\tgender\na\tf\ta\n", None, "2: 3 cells, but the first line names 2"),
        ("speaker\tgender\na\tf\n\nb\tf\n", None, "3: blank line"),
        ("speaker\tgender\na\tf\nb\tm\na\tf\n", None, "4: a is already on line 2"),
        ("speaker\tgender\n\tf\n", None, "2: speaker '' is not a name"),
        ("speaker\tduration\n", None, "1: column duration is known already"),
        ("speaker\tage\tage\n", None, "1: column age is there twice"),
        ("speaker\tthe age\n", None, "1: column 'the age': a name is letters"),
        (None, "path\tsnr_db\n/wav/a.wav\t3\n", r"utterances\.tsv:2: path /wav/a.wav is absolute"),
        ("speaker\tage\n", "path\tage\n", r"utterances\.tsv:1: column age is in speakers\.tsv too"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path, speakers, utterances, words):
    with pytest.raises(ListError, match=words):
        read_columns(write(tmp_path, speakers, utterances))


@pytest.mark.parametrize("cell", ["unknown", "nan", "inf"])
def test_a_number_that_is_none_among_numbers_is_refused_when_it_is_asked_for(tmp_path, cell):
    column = read_columns(write(tmp_path, f"speaker\tage\na\t6\nb\t{cell}\nc\t7\n"))["age"]
    assert column.words["b"] == cell
    with pytest.raises(ListError, match=f"3: column age: '{cell}' is not a finite number, as 2 of"):
        column.numbers()


def test_a_table_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "speakers.tsv").write_bytes(b"speaker\tgender\na\t\xff\n")
    with pytest.raises(ListError, match="not UTF-8"):
        read_columns(tmp_path)
