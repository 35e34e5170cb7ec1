"""VoxCeleb2 and CN-Celeb become folders that train, from small copies of their layouts."""

import dataclasses
import hashlib
import io

import numpy as np
import pytest
import soundfile

from search.core.errors import EnvironmentSetupError
from search.data.public import catalogue
from search.data.public import fetch as fetching
from search.data.public.public_corpus import Archive, Lists
from search.data.public.transfer import Remote, download
from spkmodel.data.corpus import open_corpus
from spkmodel.data.lists import read_pairs
from tests.search.data.public.test_fetch import speakers, tar_gz, voxceleb, zipped


def sound(seed):
    out = io.BytesIO()
    samples = np.random.default_rng(seed).integers(-9000, 9000, 4800, dtype=np.int16)
    soundfile.write(out, samples, 16_000, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def published(file_server, name, contents, **changes):
    archives = tuple(
        Archive((Remote(file_server.put(file, content), md5=hashlib.md5(content).hexdigest()),))
        for file, content in contents.items()
    )
    return dataclasses.replace(
        catalogue.find_public_corpus(name),
        archives=lambda: archives,
        download_bytes=10**6,
        folder_bytes=10**6,
        **changes,
    )


def test_voxceleb2_trains_on_its_dev_part_and_is_judged_by_cleaned_lists(file_server, tmp_path):
    vox2 = {
        f"dev/aac/id000{n:02}/v{take}/0000{take}.flac": sound(10 * n + take)
        for n in range(12, 20)
        for take in range(1, 4)
    }
    pairs = (
        b"1 id10001/va/00001.wav id10001/vb/00001.wav\n"
        b"0 id10001/va/00001.wav id10002/va/00001.wav\n"
    )
    lists = {
        Remote(file_server.put(name, pairs)): 2 for name in ("veri_test2.txt", "list_test_all2.txt")
    }
    public = published(
        file_server,
        "voxceleb2",
        {"vox2.zip": zipped(vox2), "vox1.zip": zipped(voxceleb(["id10001", "id10002"]))},
        lists=lambda: Lists(lists),
    )
    fetched = fetching.fetch_corpus(public, tmp_path / "c", waits_seconds=(0.0,))
    corpus = open_corpus(tmp_path / "c")
    assert fetched.test_list == "veri_test2.txt"
    assert speakers(corpus, "test") == {"id10001", "id10002"}
    assert speakers(corpus, "train") | speakers(corpus, "dev") == {
        f"id000{n:02}" for n in range(12, 20)
    }
    assert len(read_pairs(tmp_path / "c" / "list_test_all2.txt")) == 2


def test_cnceleb_is_judged_by_the_trials_in_its_archive(file_server, tmp_path):
    top = "CN-Celeb_flac"
    first = {
        f"{top}/data/id0000{n}/singing-01-00{take}.flac": sound(10 * n + take)
        for n in range(6)
        for take in range(1, 4)
    }
    first |= {f"{top}/data/id00800/singing-01-001.flac": sound(91)}  # of the enrolment
    for name in ("enroll/id00800-enroll", "test/id00800-movie-01", "test/id00801-movie-01"):
        first[f"{top}/eval/{name}.flac"] = sound(len(first))
    first[f"{top}/eval/lists/enroll.lst"] = b"id00800-enroll enroll/id00800-enroll.wav\n"
    first[f"{top}/eval/lists/trials.lst"] = (
        b"id00800-enroll test/id00800-movie-01.wav 1\nid00800-enroll test/id00801-movie-01.wav 0\n"
    )
    second = {f"CN-Celeb2_flac/data/id1000{n}/vlog-01-001.flac": sound(200 + n) for n in range(3)}
    public = published(
        file_server,
        "cnceleb",
        {"one.tar.gz": tar_gz(first), "two.tar.gz": tar_gz(second)},
        lists=lambda: Lists({}, inside={"trials.lst": 2}),
    )
    fetching.fetch_corpus(public, tmp_path / "c", waits_seconds=(0.0,))
    corpus = open_corpus(tmp_path / "c")
    assert [(pair.target, pair.enrolment, pair.test) for pair in corpus.test_pairs] == [
        (is_target, "wav/id00800/enroll/id00800-enroll.flac", f"wav/{test}")
        for is_target, test in (
            (True, "id00800/test/id00800-movie-01.flac"),
            (False, "id00801/test/id00801-movie-01.flac"),
        )
    ]
    assert speakers(corpus, "test") == {"id00800", "id00801"}
    assert {"id10000", "id10001"} <= speakers(corpus, "train") | speakers(corpus, "dev")
    assert not (tmp_path / "c/wav/id00800/singing-01-001.flac").exists()


def test_a_file_with_another_md5_is_refused_and_not_kept(file_server, tmp_path):
    remote = Remote(file_server.put("a.zip", b"content"), md5="0" * 32)
    with pytest.raises(EnvironmentSetupError, match=r"has MD5 9a0364b9e99bb480dd25e1f0284c8555"):
        download(remote, tmp_path / "a.zip", waits_seconds=())
    assert list(tmp_path.iterdir()) == []
