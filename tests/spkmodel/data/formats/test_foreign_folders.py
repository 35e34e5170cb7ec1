"""A folder that another tool wrote is recognised, and the command that imports it is named."""

import pytest

from spkmodel.data.corpus import open_corpus
from spkmodel.data.formats.foreign_folders import recognise_folder
from spkmodel.data.lists import CorpusError


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["wav.scp", "utt2spk"], "import {folder} --from kaldi"),
        (["train/wav.scp", "test/wav.scp"], "import {folder}/test {folder}/train --from kaldi"),
        (["raw.list"], "import {folder} --from kaldi"),
        (["people.csv", "clips/1.mp3"], "import {folder}/people.csv --from csv"),
        (["dev/aac/id10001/a/1.m4a", "dev/aac/id10002/a/1.m4a"], "import {folder} --from voxceleb"),
        (["x/p1/1.wav", "x/p2/1.wav", "README"], "ln -s {folder}/x {folder}-corpus/wav"),
    ],
)
def test_a_folder_of_another_tool_is_recognised(tmp_path, files, says):
    folder = tmp_path / "data"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    wanted = says.format(folder=folder)
    assert recognise_folder(folder).remedy.endswith(wanted)
    with pytest.raises(CorpusError) as caught:
        open_corpus(folder)
    assert str(caught.value).endswith(wanted)


@pytest.mark.parametrize(
    "files", [["notes.txt"], ["a.csv", "b.csv"], ["speakers.tsv"], [".cache/a/1.wav", ".x/b/1.wav"]]
)
def test_anything_else_is_not_taken_for_one(tmp_path, files):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert recognise_folder(tmp_path) is None
    with pytest.raises(CorpusError, match=r"neither train_list\.txt nor a folder wav; a"):
        open_corpus(tmp_path)
