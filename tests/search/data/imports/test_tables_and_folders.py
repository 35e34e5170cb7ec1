"""Tables, folders of speakers and VoxCeleb's own lists become corpora."""

import pytest

from search.core.errors import UsageError
from search.data.imports.writing import import_corpus
from spkmodel.data.checks.corpus_check import check_folder
from spkmodel.data.corpus import open_corpus
from spkmodel.data.lists import ListError


def speakers(folder, split):
    corpus = open_corpus(folder)
    return {corpus.speaker_of[path] for path in corpus.of_split(split)}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_with_splits_has_its_pairs_drawn_within_them(tmp_path, disk, separator):
    split_of = dict(
        zip("abcdef", ["train", "Training", "valid", "valid", "train", "tr"], strict=True)
    )
    rows = [["Speaker_ID", "note", "path", "subset"]]
    for path in sorted(disk.iterdir()):
        speaker = path.stem[0]
        rows.append([f"Speaker {speaker}", '"a, b"' if separator != ";" else '"a; b"'])
        rows[-1] += [str(path) if speaker == "a" else f"disk/{path.name}", split_of[speaker]]
    table = tmp_path / "people.csv"
    table.write_text("".join(separator.join(row) + "\n" for row in rows))
    made = import_corpus([table], "csv", tmp_path / "new")
    assert made.speakers == {"train": 4, "dev": 2, "test": 0}
    assert speakers(tmp_path / "new", "dev") == {"Speaker_c", "Speaker_d"}
    assert check_folder(tmp_path / "new").problems == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,who\nx.wav,a\n", "no column for its speaker; the header must name one of speaker"),
        ("text,speaker\nx,a\n", "no column for the path of an utterance"),
        ("path,speaker\nx.wav\n", r"people\.csv:2: 1 columns; the header has 2"),
        ("path,speaker,split\nx.wav,a,later\n", r"people\.csv:2: split 'later'; it must be train"),
        ("path,speaker\nx.wav,a\n", "1 of 1 files are not there: x.wav"),
    ],
)
def test_a_wrong_table_is_named(tmp_path, text, says):
    (tmp_path / "people.csv").write_text(text)
    with pytest.raises((UsageError, ListError), match=says):
        import_corpus([tmp_path], "csv", tmp_path / "new")


@pytest.mark.usefixtures("disk")
def test_two_speakers_whose_names_become_one_are_refused(tmp_path):
    (tmp_path / "people.csv").write_text("path,speaker\ndisk/a-0.wav,A B\ndisk/b-0.wav,A_B\n")
    with pytest.raises(UsageError, match="would both be A_B"):
        import_corpus([tmp_path], "csv", tmp_path / "new")


@pytest.mark.usefixtures("disk")
def test_a_speaker_whose_name_no_folder_can_have_is_refused(tmp_path):
    (tmp_path / "people.csv").write_text(f"path,speaker\ndisk/a-0.wav,{'a' * 300}\n")
    with pytest.raises(UsageError, match="has too long a name for a folder"):
        import_corpus([tmp_path], "csv", tmp_path / "new")


def test_folders_of_speakers_are_found_at_any_depth(tmp_path, speak):
    for speaker in ("p225", "p226", "p227", "p228", "wav"):
        for number in range(2):
            speak(tmp_path / "vctk/release 1/wav48" / speaker / "chapter" / f"{number}.wav")
    made = import_corpus([tmp_path / "vctk"], "folders", tmp_path / "new")
    assert made.utterances == 10
    found = speakers(tmp_path / "new", "train") | speakers(tmp_path / "new", "dev")
    assert found == {"p225", "p226", "p227", "p228", "_wav"}
    assert check_folder(tmp_path / "new").problems == []
    (notice,) = (each for each in made.notices if "no test pairs" in each)
    assert "spksearch corpus split" in notice
    with pytest.raises(UsageError, match="no folders of several speakers"):
        import_corpus([tmp_path / "vctk/release 1/wav48/p225"], "folders", tmp_path / "newer")


def test_voxcelebs_list_finds_converted_files_of_several_parts(tmp_path, speak):
    for number in range(1, 7):
        part = "dev" if number > 3 else "test"
        for video in ("aaa", "bbb"):
            folder = tmp_path / "vox" / part / "aac" / f"id1000{number}" / video
            speak(folder / "00001.flac")
            (folder / "00001.m4a").write_bytes(b"its source")
    (tmp_path / "vox/veri_test2.txt").write_text(
        "1 id10001/aaa/00001.wav id10001/bbb/00001.wav\n"
        "0 id10001/aaa/00001.wav id10002/aaa/00001.wav\n"
    )
    made = import_corpus([tmp_path / "vox"], "voxceleb", tmp_path / "new")
    assert made.speakers == {"train": 2, "dev": 2, "test": 2}
    assert not any("no test pairs" in each for each in made.notices)
    corpus = open_corpus(tmp_path / "new")
    assert corpus.test_pairs[0].enrolment == "id10001/aaa/00001.flac"


@pytest.mark.parametrize(("suffix", "is_read"), [(".m4a", True), (".dss", False)])
def test_a_format_is_imported_if_it_is_read_and_else_the_command_converts_it(
    tmp_path, speak, suffix, is_read
):
    for number in range(12):
        path = speak(tmp_path / "vox" / f"id1000{number // 2}" / "aaa" / f"{number}.wav")
        path.rename(path.with_suffix(suffix))
    if is_read:
        made = import_corpus([tmp_path / "vox"], "voxceleb", tmp_path / "new")
        assert made.utterances == 12
        return
    with pytest.raises(UsageError, match=r"not read: .*0\.dss.*ffmpeg"):
        import_corpus([tmp_path / "vox"], "voxceleb", tmp_path / "new")


def test_voxceleb_without_its_speakers_is_refused(tmp_path, disk):
    with pytest.raises(UsageError, match="no folders of VoxCeleb's speakers"):
        import_corpus([disk], "voxceleb", tmp_path / "new")
