"""Kaldi's and WeSpeaker's folders become corpora; nothing in them is run."""

import json
import subprocess

import pytest

from search.core.errors import UsageError
from search.data.imports.writing import import_corpus
from spkmodel.data.checks.corpus_check import check_folder
from spkmodel.data.corpus import open_corpus
from spkmodel.data.lists import ListError, read_train_list


@pytest.fixture
def data(tmp_path, disk):
    """A data folder with trials between the speakers e and f."""
    folder = tmp_path / "data"
    folder.mkdir()
    names = sorted(path.stem for path in disk.iterdir())
    (folder / "wav.scp").write_text("".join(f"{name} {disk / name}.wav\n" for name in names))
    (folder / "utt2spk").write_text("".join(f"{name} {name[0]}\n" for name in names))
    (folder / "trials").write_text("e-0 e-1 target\ne-1 f-0 nontarget\nf-1 f-2 target\n")
    return folder


def test_absolute_paths_ids_and_trials_become_a_corpus_that_is_checked_clean(data, tmp_path, disk):
    made = import_corpus([data], "kaldi", tmp_path / "new")
    assert made.speakers == {"train": 2, "dev": 2, "test": 2}
    assert (made.linked_speakers, made.copied_files) == (6, 0)
    corpus = open_corpus(tmp_path / "new")
    assert [(pair.target, pair.enrolment, pair.test) for pair in corpus.test_pairs] == [
        (True, "e/e-0.wav", "e/e-1.wav"),
        (False, "e/e-1.wav", "f/f-0.wav"),
        (True, "f/f-1.wav", "f/f-2.wav"),
    ]
    assert (tmp_path / "new/e/e-0.wav").samefile(disk / "e-0.wav")
    assert check_folder(tmp_path / "new").problems == []


def test_dev_pairs_may_be_given_in_either_order(data, tmp_path):
    dev = tmp_path / "dev.txt"
    dev.write_text("1 c-0 c-1\n0 c-0 b-0\nb-0 b-1 1\n")
    made = import_corpus([data], "kaldi", tmp_path / "new", dev=dev)
    assert made.speakers == {"train": 2, "dev": 2, "test": 2}
    pairs = open_corpus(tmp_path / "new").dev_pairs
    assert [pair.target for pair in pairs] == [True, False, True]


def test_several_folders_are_put_together(data, tmp_path, speak):
    more = tmp_path / "more"
    more.mkdir()
    for speaker in "ghij":
        for number in range(2):
            path = speak(tmp_path / "elsewhere" / "deep" / f"{speaker}-{number}.wav")
            with (more / "wav.scp").open("a") as out:
                out.write(f"{path.stem}\t{path}\n")
            with (more / "utt2spk").open("a") as out:
                out.write(f"{path.stem} {speaker}\n")
    made = import_corpus([data, more], "kaldi", tmp_path / "new")
    assert made.speakers == {"train": 6, "dev": 2, "test": 2}
    assert check_folder(tmp_path / "new").problems == []
    with pytest.raises(UsageError, match="18 names of utterances are there twice"):
        import_corpus([data, data], "kaldi", tmp_path / "newer", test=data / "trials")


def test_wespeakers_raw_list_is_read(data, tmp_path, disk):
    (data / "wav.scp").unlink()
    rows = [
        {"key": path.stem, "wav": str(path), "spk": path.stem[0]} for path in sorted(disk.iterdir())
    ]
    (data / "raw.list").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert import_corpus([data], "kaldi", tmp_path / "new").utterances == 17
    (data / "raw.list").write_text('{"key": "x"}\n')
    with pytest.raises(ListError, match=r"raw\.list:1: no JSON object with"):
        import_corpus([data], "kaldi", tmp_path / "newer")


def test_a_path_with_spaces_is_linked_and_a_name_with_spaces_is_a_hard_link(data, tmp_path, speak):
    spaced = speak(tmp_path / "my disk" / "h-0.wav")
    named = [speak(tmp_path / "disk" / name) for name in ("g 0.wav", "g 1.wav", "g_1.wav")]
    with (data / "wav.scp").open("a") as out:
        out.write(f"h-0 {spaced}\n" + "".join(f"g-{n} {path}\n" for n, path in enumerate(named)))
    with (data / "utt2spk").open("a") as out:
        out.write("h-0 h\n" + "".join(f"g-{number} g\n" for number in range(3)))
    made = import_corpus([data], "kaldi", tmp_path / "new")
    assert made.copied_files == 3
    paths = {entry.path for entry in read_train_list(tmp_path / "new/train_list.txt")}
    assert {"h/h-0.wav", "g/g_0.wav", "g/g_1.wav", "g/2_g_1.wav"} <= paths
    assert (tmp_path / "new/g/g_0.wav").samefile(named[0])


@pytest.mark.parametrize(
    "form",
    [
        "flac -c -d -s {path} |",
        "ffmpeg -v 8 -i {path} -f wav -acodec pcm_s16le -|",
        "/usr/bin/ffmpeg -nostdin -i {path} -ac 1 -ar 16000 -f wav - |",
        "sph2pipe -f wav -p {path} |",
        '"{path}"',
        "'{path}'",
    ],
)
def test_a_decoder_or_quotes_around_a_path_are_that_path(data, tmp_path, disk, form):
    path = f"{disk}/a-0.wav"
    text = (data / "wav.scp").read_text().replace(path, form.format(path=path))
    (data / "wav.scp").write_text(text)
    assert import_corpus([data], "kaldi", tmp_path / "new").utterances == 17


@pytest.mark.parametrize(
    "form",
    [
        "ffmpeg -i {path} -ss 3 -f wav - |",
        "ffmpeg -i {path} -f wav - ; touch ran |",
        "sph2pipe -f wav -c 1 {path} |",
        "ffmpeg -i {path} -f wav - | sox - -t wav - |",
    ],
)
def test_a_command_that_does_more_than_decode_is_refused(data, tmp_path, disk, form):
    path = f"{disk}/a-0.wav"
    text = (data / "wav.scp").read_text().replace(path, form.format(path=path))
    (data / "wav.scp").write_text(text)
    with pytest.raises((ListError, UsageError)):
        import_corpus([data], "kaldi", tmp_path / "new")


def test_a_command_is_refused_and_not_run_and_its_remedy_works(data, tmp_path, disk):
    text = (data / "wav.scp").read_text()
    (data / "wav.scp").write_text(
        text.replace(f"{disk}/a-0.wav", f"touch {tmp_path}/ran; cat {disk}/a-0.wav |")
    )
    with pytest.raises(ListError, match=r"wav\.scp:1: a command, which is not run") as caught:
        import_corpus([data], "kaldi", tmp_path / "new")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "new").exists()
    lines = (data / "wav.scp").read_text().splitlines()
    commands = [line if "|" in line else line.replace(" ", " cat ", 1) + " |" for line in lines]
    (data / "wav.scp").write_text("".join(f"{line}\n" for line in commands))
    subprocess.run(["sh", "-ec", caught.value.remedy], check=True, timeout=30)
    assert import_corpus([data], "kaldi", tmp_path / "new").utterances == 17


def test_segments_are_refused_with_the_command_that_cuts_them(data, tmp_path):
    (data / "segments").write_text("a-0-1 a-0 0.0 0.1\n")
    with pytest.raises(UsageError, match="segments: utterances are parts of recordings") as caught:
        import_corpus([data], "kaldi", tmp_path / "new")
    remedy = str(caught.value).partition("take segments away: ")[2]
    fake = 'ffmpeg() { cp "$3" "$8"; }; '
    subprocess.run(["sh", "-ec", fake + remedy], check=True, timeout=30)
    assert (data / "cut/a-0-1.flac").is_file()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"wav.scp": "x foo.ark:123\n"}, r"wav\.scp:1: a place in an archive"),
        ({"wav.scp": "x\n"}, r"wav\.scp:1: no path"),
        ({"wav.scp": "x a.wav\nx a.wav\n"}, r"wav\.scp:2: x is listed twice"),
        ({"wav.scp": "a-0 gone.wav\n"}, r"1 of 1 files are not there: a-0"),
        ({"wav.scp": "a-0 x.dss\n", "x.dss": "x"}, r"format that is not read: .*ffmpeg"),
        ({"wav.scp": "a-0 x.txt\n", "x.txt": "x"}, "are no audio by their names"),
        ({"wav.scp": "a-0 /\n"}, "1 of 1 files are not there: a-0"),
        ({"wav.scp": f"a-0 {'x' * 300}.wav\n"}, "1 of 1 files are not there: a-0"),
        ({"wav.scp": "a-0 x\0.wav\n"}, "1 of 1 files are not there: a-0"),
        ({"utt2spk": "a-0 a\n"}, "17 of 18 utterances of wav.scp have no speaker"),
        ({"utt2spk": "a-0 a b\n"}, r"utt2spk:1: a line is '<utterance> <speaker>'"),
        ({"utt2spk": None}, "neither utt2spk nor spk2utt"),
        ({"wav.scp": None}, "neither wav.scp nor raw.list"),
        ({"wav.scp": None, "shard.list": "x"}, "shards are tar files"),
        ({"trials": "e-0 e-1 maybe\n"}, r"trials:1: no pair"),
        ({"trials": "e-0 zz-1 target\n"}, r"trials:1: zz-1 is no utterance"),
        ({"trials": None, "trials_a": "", "trials_b": ""}, "several lists of pairs"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_left(data, tmp_path, change, says):
    for name, text in change.items():
        (data / name).unlink() if text is None else (data / name).write_text(text)
    with pytest.raises((UsageError, ListError), match=says):
        import_corpus([data], "kaldi", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "disk"]


def test_a_folder_with_something_in_it_is_refused(data, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/mine").touch()
    with pytest.raises(UsageError, match="is there already"):
        import_corpus([data], "kaldi", tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine"]


def test_a_false_label_is_named_as_in_the_new_folder(data, tmp_path):
    (data / "trials").write_text("e-0 f-1 target\ne-1 f-0 nontarget\n")
    with pytest.raises(UsageError, match=r"new/test_trials\.txt:1: label 1 for a pair of e and f"):
        import_corpus([data], "kaldi", tmp_path / "new")
