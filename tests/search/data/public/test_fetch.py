"""A public corpus becomes a folder that trains, from small copies of the real ones' layouts."""

import dataclasses
import hashlib
import io
import json
import tarfile
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from search.cli.app import run
from search.core.errors import EnvironmentSetupError, UsageError
from search.core.progress import Silent
from search.data.public import catalogue
from search.data.public import fetch as fetching
from search.data.public.public_corpus import Archive, Lists
from search.data.public.transfer import Remote
from spkmodel.data.checks.corpus_check import check_corpus
from spkmodel.data.corpus import open_corpus
from spkmodel.data.lists import read_pairs


def sound(seed, rate=16_000, channels=1, kind="WAV", seconds=0.3):
    rng = np.random.default_rng(seed)
    samples = rng.integers(-9000, 9000, (int(seconds * rate), channels), dtype=np.int16)
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype="PCM_16")
    return out.getvalue()


def tar_gz(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


# --- small copies --------------------------------------------------------------------------------


def librispeech(part, speakers):
    files = {"LibriSpeech/README.TXT": b"read me"}
    lines = ["; id | sex | subset"]
    for speaker in speakers:
        lines.append(f"{speaker} | F | {part} | 10 | Somebody")
        for n in range(3):
            name = f"LibriSpeech/{part}/{speaker}/7/{speaker}-7-{n:04}.flac"
            files[name] = sound(speaker * 10 + n, kind="FLAC")
    files["LibriSpeech/SPEAKERS.TXT"] = "\n".join(lines).encode()
    return files


def ocean():
    files, tables = {}, {}
    for half, speakers in (("train", range(1, 7)), ("test", range(7, 10))):
        for speaker in speakers:
            for n in range(3):
                name = f"{speaker:05}{n:04}"
                files[f"speechocean762/WAVE/SPEAKER{speaker:04}/{name}.WAV"] = sound(
                    speaker * 9 + n
                )
                tables.setdefault(f"{half}/utt2spk", []).append(f"{name} {speaker:04}")
            tables.setdefault(f"{half}/spk2gender", []).append(f"{speaker:04} m")
            tables.setdefault(f"{half}/spk2age", []).append(f"{speaker:04} {speaker + 5}")
    texts = {f"speechocean762/{k}": "\n".join(v).encode() for k, v in tables.items()}
    return files | texts


def commands():
    files = {"./README.md": b"", "./_background_noise_/pink.wav": sound(1)}
    lists = {"validation": [], "testing": []}
    for number in range(10):
        speaker = f"00{number}7ab"
        for word in ("yes", "no"):
            name = f"{word}/{speaker}_nohash_0.wav"
            files[f"./{name}"] = sound(number)
            if number < 4:
                lists["validation" if number < 2 else "testing"].append(name)
    return files | {f"./{k}_list.txt": "\n".join(v).encode() for k, v in lists.items()}


def voxceleb(speakers):
    return {f"wav/{s}/v{v}/0000{u}.wav": sound(int(s[2:]) + u) for s in speakers
            for v in "ab" for u in (1, 2)}  # fmt: skip


VOX_TEST = ("id10270", "id10271")
VERI = (
    b"1 id10270/va/00001.wav id10270/vb/00002.wav\n"
    b"0 id10270/va/00001.wav id10271/vb/00001.wav\n"
)  # fmt: skip
ALL = VERI + b"1 id10001/va/00001.wav id10001/vb/00001.wav\n"


def published(file_server, name, **archives):
    """A corpus of the catalogue whose archives are these, with their checksums."""
    found = []
    for file, content in archives.items():
        file = file.replace("__", "-").replace("_DOT_", ".")
        sha256 = hashlib.sha256(content).hexdigest()
        found.append(Archive((Remote(file_server.put(file, content), sha256),)))
    return dataclasses.replace(
        catalogue.find_public_corpus(name),
        archives=lambda: tuple(found),
        download_bytes=10**6,
        folder_bytes=10**6,
    )


@pytest.fixture
def small_ocean(file_server):
    return published(file_server, "speechocean762", speechocean762_DOT_tar_DOT_gz=tar_gz(ocean()))


def vox(file_server, name="voxceleb1", lists=None):
    dev = [f"id100{n:02}" for n in range(1, 8)]
    public = published(
        file_server,
        name,
        dev_DOT_zip=zipped(voxceleb(dev)),
        test_DOT_zip=zipped(voxceleb(VOX_TEST)),
    )
    lists = lists or {"veri_test.txt": (VERI, 2), "list_test_all.txt": (ALL, 3)}
    remotes = {Remote(file_server.put(file, text)): n for file, (text, n) in lists.items()}
    return dataclasses.replace(public, lists=lambda: Lists(remotes))


def fetch(public, folder, **more):
    return fetching.fetch_corpus(public, folder, waits_seconds=(0.0,), **more)


def speakers(corpus, split):
    return {corpus.speaker_of[path] for path in corpus.of_split(split)}


def is_whole(folder):
    corpus = open_corpus(folder)
    report = check_corpus(corpus)
    return report.problems == [] and not (folder / ".fetch").exists()


# --- what comes out -----------------------------------------------------------------------------


def test_official_speakers_stay_where_they_are_and_dev_is_drawn_from_train(small_ocean, tmp_path):
    fetched = fetch(small_ocean, tmp_path / "c")
    corpus = open_corpus(tmp_path / "c")
    assert speakers(corpus, "test") == {"0007", "0008", "0009"}
    assert speakers(corpus, "train") | speakers(corpus, "dev") == {f"{n:04}" for n in range(1, 7)}
    assert fetched.utterances == 27
    assert is_whole(tmp_path / "c")
    rows = (tmp_path / "c" / "speakers.tsv").read_text().splitlines()
    assert rows[:2] == ["speaker\tgender\tage", "0001\tm\t6"]
    note = (tmp_path / "c" / "SOURCE.md").read_text()
    assert "CC BY 4.0" in note
    assert "https://www.openslr.org/101" in note
    assert fetched.files["speechocean762.tar.gz"] in note


def test_sound_above_full_scale_is_divided_and_counted(file_server, tmp_path):
    files = ocean()
    loud = io.BytesIO()
    samples = np.tile([2.0, -1.0], 2400)
    soundfile.write(loud, samples, 16_000, format="WAV", subtype="FLOAT")
    files["speechocean762/WAVE/SPEAKER0001/000010000.WAV"] = loud.getvalue()
    archive = tar_gz(files)
    public = published(file_server, "speechocean762", speechocean762_DOT_tar_DOT_gz=archive)
    fetched = fetch(public, tmp_path / "c")
    assert any(notice.startswith("1 utterances were above full") for notice in fetched.notices)
    (path,) = (tmp_path / "c/wav/0001").glob("*0000.flac")
    assert soundfile.read(path, dtype="int16")[0][:2].tolist() == [32767, -16384]


def test_sound_that_is_as_wanted_is_kept_bit_for_bit(file_server, tmp_path):
    files = librispeech("dev-clean", range(10, 20))
    public = published(
        file_server, "librispeech-dev-clean", dev__clean_DOT_tar_DOT_gz=tar_gz(files)
    )
    fetch(public, tmp_path / "c")
    original = files["LibriSpeech/dev-clean/12/7/12-7-0001.flac"]
    assert (tmp_path / "c/wav/12/7/12-7-0001.flac").read_bytes() == original
    assert (tmp_path / "c/speakers.tsv").read_text().startswith("speaker\tgender\n10\tf\n")
    assert not set.intersection(
        *(speakers(open_corpus(tmp_path / "c"), s) for s in ("dev", "test"))
    )


def test_parts_of_librispeech_are_its_splits(file_server, tmp_path):
    public = published(
        file_server,
        "librispeech-100",
        train_DOT_tar_DOT_gz=tar_gz(librispeech("train-clean-100", range(10, 14))),
        dev_DOT_tar_DOT_gz=tar_gz(librispeech("dev-clean", range(20, 23))),
        test_DOT_tar_DOT_gz=tar_gz(librispeech("test-clean", range(30, 33))),
    )
    fetch(public, tmp_path / "c")
    corpus = open_corpus(tmp_path / "c")
    assert speakers(corpus, "train") == {"10", "11", "12", "13"}
    assert speakers(corpus, "dev") == {"20", "21", "22"}
    assert speakers(corpus, "test") == {"30", "31", "32"}


def test_other_rates_and_channels_become_16_khz_mono_flac(file_server, tmp_path):
    files = {
        f"wav48_silence_trimmed/p2{s}/p2{s}_00{n}_mic{mic}.flac": sound(s, 48_000, 1, "FLAC")
        for s in range(25, 32)
        for n in (1, 2)
        for mic in (1, 2)
    }
    files |= {"wav48_silence_trimmed/p225/p225_003_mic1.flac": sound(5, 22_050, 2, "FLAC")}
    files["speaker-info.txt"] = b"ID AGE GENDER ACCENTS\np225 23 F English\n"
    fetch(published(file_server, "vctk", vctk_DOT_zip=zipped(files)), tmp_path / "c")
    found = sorted((tmp_path / "c/wav/p225").iterdir())
    assert [path.name for path in found] == ["p225_001.flac", "p225_002.flac", "p225_003.flac"]
    for path in found:
        about = soundfile.info(path)
        assert (about.samplerate, about.channels, about.frames) == (16_000, 1, 4800)
    assert is_whole(tmp_path / "c")


def test_speech_commands_follow_their_lists_and_leave_the_noise(file_server, tmp_path):
    public = published(file_server, "speech-commands", sc_DOT_tar_DOT_gz=tar_gz(commands()))
    fetched = fetch(public, tmp_path / "c")
    corpus = open_corpus(tmp_path / "c")
    assert fetched.utterances == 20
    assert speakers(corpus, "dev") == {"0007ab", "0017ab"}
    assert speakers(corpus, "test") == {"0027ab", "0037ab"}


def test_voxceleb_is_judged_by_its_own_pairs(file_server, tmp_path):
    fetched = fetch(vox(file_server), tmp_path / "c")
    corpus = open_corpus(tmp_path / "c")
    assert speakers(corpus, "test") == set(VOX_TEST)
    assert read_pairs(tmp_path / "c/test_trials.txt") == read_pairs(tmp_path / "c/veri_test.txt")
    assert (tmp_path / "c/veri_test.txt").read_text().startswith("1 wav/id10270/va/00001.flac ")
    assert len(read_pairs(tmp_path / "c/list_test_all.txt")) == 3
    assert fetched.test_list == "veri_test.txt"


def test_another_official_list_can_be_the_test_list(file_server, tmp_path):
    clean = VERI.replace(b"vb/00002", b"vb/00001")
    public = vox(file_server, lists={"veri_test.txt": (VERI, 2), "veri_test2.txt": (clean, 2)})
    fetch(public, tmp_path / "c", test_list="veri_test2.txt")
    assert "vb/00001.flac" in (tmp_path / "c/test_trials.txt").read_text().splitlines()[0]
    with pytest.raises(UsageError, match=r"it has veri_test\.txt, veri_test2\.txt"):
        fetch(public, tmp_path / "d", test_list="veri_test3.txt")


def test_the_test_part_alone_is_a_corpus_to_evaluate_on(file_server, tmp_path):
    public = published(file_server, "voxceleb1-test", test_DOT_zip=zipped(voxceleb(VOX_TEST)))
    remote = Remote(file_server.put("veri_test.txt", VERI))
    public = dataclasses.replace(public, lists=lambda: Lists({remote: 2}))
    fetched = fetch(public, tmp_path / "c")
    assert fetched.speakers == {"train": 0, "dev": 0, "test": 2}
    assert open_corpus(tmp_path / "c").train == ()


def test_identification_parts_utterances_and_needs_overlap_allowed(file_server, tmp_path):
    public = vox(file_server, "voxceleb1-identification")
    lines = [
        f"{part} id100{s:02}/v{v}/0000{u}.wav"
        for s in range(1, 8)
        for part, v, u in ((1, "a", 1), (2, "a", 2), (3, "b", 1), (3, "b", 2), (2, "a", 1))[:4]
    ]
    lines += [f"2 {s}/v{v}/00001.wav" for s in VOX_TEST for v in "ab"]
    remote = Remote(file_server.put("iden_split.txt", "\n".join(lines).encode()))
    public = dataclasses.replace(public, lists=lambda: Lists({}, identification=remote))
    fetch(public, tmp_path / "c")
    with pytest.raises(ValueError, match="--allow-overlap"):
        open_corpus(tmp_path / "c")
    corpus = open_corpus(tmp_path / "c", allow_overlap=True)
    assert len(corpus.train) == 7
    assert len(corpus.of_split("test")) == 14


class OneAtATime(Silent):
    """A terminal cannot show two bars at once."""

    def __init__(self):
        self.shown = []
        self.busy = False

    @contextmanager
    def task(self, what, unit):
        assert not self.busy
        self.shown.append((what, unit))
        self.busy = True
        yield lambda *_: None
        self.busy = False


def test_what_is_being_done_is_told_one_thing_after_another(file_server, tmp_path):
    display = OneAtATime()
    fetch(vox(file_server), tmp_path / "c", display=display)
    assert display.shown == [
        ("downloading dev.zip", "MB"),
        ("downloading test.zip", "MB"),
        ("unpacking voxceleb1", "utterances"),
        ("downloading veri_test.txt", "MB"),
        ("downloading list_test_all.txt", "MB"),
    ]


# --- again, and after an interruption -----------------------------------------------------------


def test_a_whole_folder_is_left_as_it_is(small_ocean, file_server, tmp_path):
    first = fetch(small_ocean, tmp_path / "c")
    asked = len(file_server.asked)
    assert fetch(small_ocean, tmp_path / "c") == first
    assert len(file_server.asked) == asked
    with pytest.raises(UsageError, match="the seed there is 0, asked for is 1"):
        fetch(small_ocean, tmp_path / "c", seed=1)
    next((tmp_path / "c/wav").rglob("*.flac")).unlink()
    with pytest.raises(UsageError, match="26 utterances are there, 27 were fetched"):
        fetch(small_ocean, tmp_path / "c")


def test_what_was_broken_off_is_never_taken_for_a_corpus_and_is_gone_on_with(
    small_ocean, file_server, tmp_path
):
    file_server.breaks_after = [500, 0, 0]
    with pytest.raises(EnvironmentSetupError, match="the same command goes on"):
        fetch(small_ocean, tmp_path / "c")
    with pytest.raises(ValueError, match=r"neither train_list\.txt nor a folder wav"):
        open_corpus(tmp_path / "c")
    fetch(small_ocean, tmp_path / "c")
    assert ("speechocean762.tar.gz", "bytes=500-") in file_server.asked
    assert is_whole(tmp_path / "c")


def test_unpacking_goes_on_where_it_was_interrupted(small_ocean, tmp_path, monkeypatch):
    convert, made = fetching.folders.write_note, []

    def interrupted(*_):
        made.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching.folders, "write_note", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(small_ocean, tmp_path / "c")
    monkeypatch.setattr(fetching.folders, "write_note", convert)
    unfinished = tmp_path / "c/.fetch/corpus/wav/0001"
    before = {path.name: path.stat().st_mtime_ns for path in unfinished.iterdir()}
    removed = min(before)
    (unfinished / removed).unlink()
    fetch(small_ocean, tmp_path / "c")
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "c/wav/0001").iterdir()}
    assert set(after) == set(before)
    assert {name for name in after if after[name] != before[name]} == {removed}


def test_a_call_that_died_while_moving_into_place_is_gone_on_with(
    small_ocean, tmp_path, monkeypatch
):
    mark = fetching.folders.write_mark
    monkeypatch.setattr(fetching.folders, "write_mark", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fetch(small_ocean, tmp_path / "c")
    assert (tmp_path / "c/wav").is_dir()
    monkeypatch.setattr(fetching.folders, "write_mark", mark)
    assert fetch(small_ocean, tmp_path / "c").utterances == 27
    assert is_whole(tmp_path / "c")


# --- what is in the way --------------------------------------------------------------------------


def test_without_room_nothing_is_begun(small_ocean, file_server, tmp_path):
    with pytest.raises(EnvironmentSetupError, match=r"needs about 0\.0 GB .* 0\.0 GB are free"):
        fetch(small_ocean, tmp_path / "c", free=lambda _: 1_999_999)
    assert file_server.asked == []
    fetch(small_ocean, tmp_path / "c", free=lambda _: 2_000_000)


def test_a_folder_with_something_else_is_left_alone(small_ocean, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match="holds something else"):
        fetch(small_ocean, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_second_process_in_the_same_folder_is_told(small_ocean, tmp_path):
    with fetching.lock_folder(tmp_path / "c/.fetch"), pytest.raises(
        EnvironmentSetupError, match="another process fetches into this folder"
    ):  # fmt: skip
        fetch(small_ocean, tmp_path / "c")


def test_a_corpus_for_those_with_a_key_says_how_to_get_it(file_server, tmp_path):
    public = vox(file_server)
    file_server.status["dev.zip"] = [403]
    with pytest.raises(EnvironmentSetupError, match=r"403 .*ask for a key at https.*--from FOLDER"):
        fetch(public, tmp_path / "c")


def test_an_official_list_that_is_cut_short_is_refused(file_server, tmp_path):
    with pytest.raises(EnvironmentSetupError, match=r"veri_test\.txt: 2 pairs, published were 4"):
        fetch(vox(file_server, lists={"veri_test.txt": (VERI, 4)}), tmp_path / "c")


def test_a_list_that_is_not_the_test_list_may_be_missing(file_server, tmp_path):
    public = vox(file_server)
    del file_server.files["list_test_all.txt"]
    fetched = fetch(public, tmp_path / "c")
    assert any(notice.startswith("without list_test_all.txt") for notice in fetched.notices)


def test_an_utterance_that_cannot_be_used_is_left_out_and_named(file_server, tmp_path, monkeypatch):
    files = ocean() | {"speechocean762/WAVE/SPEAKER0001/000019999.WAV": sound(1, seconds=0.01)}
    public = published(file_server, "speechocean762", o_DOT_tar_DOT_gz=tar_gz(files))
    with pytest.raises(EnvironmentSetupError, match=r"1 of 28 .*000019999\.flac .*damaged"):
        fetch(public, tmp_path / "c")
    monkeypatch.setattr(fetching, "_MOST_UNUSABLE", 0.1)
    fetched = fetch(public, tmp_path / "c")
    assert list(fetched.unusable) == ["wav/0001/000019999.flac"]
    assert "Left out: wav/0001/000019999.flac" in (tmp_path / "c/SOURCE.md").read_text()


# --- from a folder --------------------------------------------------------------------------------


def test_archives_that_are_here_are_checked_used_and_kept(small_ocean, file_server, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    archive = own / "speechocean762.tar.gz"
    archive.write_bytes(file_server.files["speechocean762.tar.gz"][:-1])
    with pytest.raises(EnvironmentSetupError, match=r"SHA-256 .* published is"):
        fetch(small_ocean, tmp_path / "c", source=own)
    archive.write_bytes(file_server.files["speechocean762.tar.gz"])
    fetch(small_ocean, tmp_path / "c", source=own)
    assert file_server.asked == []
    assert archive.is_file()
    assert is_whole(tmp_path / "c")


def test_one_of_two_archives_is_not_enough(file_server, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    public = vox(file_server)
    both = dataclasses.replace(
        public, archives=lambda: (Archive(sum((a.pieces for a in public.archives()), ())),)
    )
    (own / "dev.zip").write_bytes(file_server.files["dev.zip"])
    with pytest.raises(UsageError, match=r"has dev\.zip, but not test\.zip"):
        fetch(both, tmp_path / "c", source=own)


def test_an_unpacked_folder_will_do_and_is_said_to_be_unchecked(small_ocean, file_server, tmp_path):
    for name, content in ocean().items():
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    fetched = fetch(small_ocean, tmp_path / "c", source=tmp_path / "own")
    assert file_server.asked == []
    assert fetched.utterances == 27
    assert any("no checksum" in notice for notice in fetched.notices)


def test_a_folder_with_nothing_of_it_says_what_would_be_there(small_ocean, tmp_path):
    (tmp_path / "own").mkdir()
    with pytest.raises(UsageError, match=r"speechocean762\.tar\.gz.*WAVE/SPEAKER0001/"):
        fetch(small_ocean, tmp_path / "c", source=tmp_path / "own")


# --- the catalogue and the verb -------------------------------------------------------------------


@pytest.mark.parametrize("public", catalogue.CORPORA, ids=lambda each: each.name)
def test_every_corpus_has_addresses_checksums_and_a_path_that_its_layout_places(public):
    for archive in public.archives():
        for piece in archive.pieces:
            assert piece.url.startswith("http")
            has_sum = len(piece.sha256) == 64 or len(piece.md5) == 32
            assert has_sum or public.name == "speechocean762"
    assert public.layout.locate(public.layout.shows) is not None
    assert public.layout.locate("README.txt") is None
    assert public.speakers > 30
    assert public.licence


def test_voxceleb_in_four_pieces_is_one_archive():
    dev, test = catalogue.find_public_corpus("voxceleb1").archives()
    assert [len(dev.pieces), len(test.pieces)] == [4, 1]
    assert dev.joined == "vox1_dev_wav.zip"


def test_the_verb_lists_fetches_and_names_what_is_near(tmp_path, capsys):
    assert run(["corpus", "fetch", "--list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["corpora"]
    assert [row["name"] for row in rows] == [each.name for each in catalogue.CORPORA]
    for name, content in ocean().items():
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    line = ["corpus", "fetch", "speechocean762", str(tmp_path / "c")]
    assert run([*line, "--from", str(tmp_path / "own")]) == 0
    assert "27 utterances" in capsys.readouterr().out
    assert run(["corpus", "fetch", "speechocean", str(tmp_path / "d")]) == 2
    assert "did you mean 'speechocean762'" in capsys.readouterr().err
    assert run(["corpus", "fetch", "vctk"]) == 2


def test_a_mirror_is_asked_for_the_same_files_and_held_to_their_checksums(
    file_server, tmp_path, capsys
):
    file_server.put("dev-clean.tar.gz", tar_gz(librispeech("dev-clean", range(10, 13))))
    line = [
        "corpus",
        "fetch",
        "librispeech-dev-clean",
        str(tmp_path / "c"),
        "--mirror",
        file_server.url,
    ]
    assert run(line) == 3
    assert "published is 76f87d0906" in capsys.readouterr().err
    assert file_server.asked[0][0] == "dev-clean.tar.gz"
