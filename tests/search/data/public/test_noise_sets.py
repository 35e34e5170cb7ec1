"""MUSAN and RIRS_NOISES come whole or not at all, and side by side."""

import dataclasses
import hashlib
import io
import tarfile
import zipfile

import pytest

from search.cli.app import run
from search.core.errors import EnvironmentSetupError, UsageError
from search.data.public import noise_sets
from search.data.public.noise_sets import fetch_noise_set, find_noise_set
from search.data.public.transfer import Remote
from tests.support.corpora.noise_sets import MUSAN, RIRS_NOISES, write_noise_set


@pytest.fixture
def sets(file_server, tmp_path, monkeypatch):
    """Both sets, of five files in each category, on a server."""
    made = write_noise_set(tmp_path / "made", MUSAN + RIRS_NOISES)
    tar, archive = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as out:
        out.add(made / "musan", "musan")
    with zipfile.ZipFile(archive, "w") as out:
        for path in (made / "RIRS_NOISES").rglob("*.wav"):
            out.write(path, path.relative_to(made))
    small = []
    for noise, content in zip(noise_sets.NOISE_SETS, (tar, archive), strict=True):
        body = content.getvalue()
        url = file_server.put(noise.archive.name, body)
        md5 = hashlib.md5(body).hexdigest()
        files = len([*(made / noise.folder).rglob("*.wav")])
        small.append(
            dataclasses.replace(
                noise, archive=Remote(url, md5=md5), files=files, unpacked_bytes=1, download_bytes=1
            )
        )
    monkeypatch.setattr(noise_sets, "NOISE_SETS", tuple(small))
    return tmp_path / "noise"


def test_both_go_into_one_folder_and_the_next_command_packs_them(sets, capsys, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_CACHE", str(sets / "../cache"))
    for name in ("musan", "rirs_noises"):
        assert run(["corpus", "fetch", name, str(sets)]) == 0
        out, err = capsys.readouterr()
        assert "recordings" in out
        assert f"next: spksearch noise pack {sets}" in err.replace("\n", "")
    assert sorted(path.name for path in sets.iterdir()) == ["RIRS_NOISES", "musan"]
    assert run(["noise", "pack", str(sets)]) == 0
    assert run(["corpus", "fetch", "musan", str(sets)]) == 0, "it is there already"


def test_the_list_names_them(capsys):
    assert run(["corpus", "fetch", "--list"]) == 0
    out = capsys.readouterr().out
    assert "musan" in out
    assert "rirs_noises" in out


def test_options_of_pairs_are_refused(sets, capsys):
    assert run(["corpus", "fetch", "musan", str(sets), "--seed", "3"]) == 2
    assert "has no pairs" in capsys.readouterr().err


def test_a_changed_archive_is_refused_and_nothing_of_it_is_left(sets):
    noise = find_noise_set("musan")
    wrong = dataclasses.replace(noise, archive=dataclasses.replace(noise.archive, md5="0" * 32))
    with pytest.raises(EnvironmentSetupError, match="MD5"):
        fetch_noise_set(wrong, sets, waits_seconds=())
    assert not (sets / "musan").exists()


def test_an_archive_with_too_few_files_is_not_the_set(sets):
    noise = dataclasses.replace(find_noise_set("musan"), files=16)
    with pytest.raises(UsageError, match="15 audio files in musan/, published are 16"):
        fetch_noise_set(noise, sets, waits_seconds=())
    assert not (sets / "musan").exists()


def test_an_archive_of_ones_own_is_checked_and_stays(sets, file_server, tmp_path):
    noise = find_noise_set("rirs_noises")
    own = tmp_path / "own"
    own.mkdir()
    (own / noise.archive.name).write_bytes(file_server.files[noise.archive.name])
    fetched = fetch_noise_set(noise, sets, source=own)
    assert fetched.files == 30
    assert (own / noise.archive.name).is_file()


def test_a_set_that_has_lost_files_is_not_taken_for_whole(sets):
    noise = find_noise_set("musan")
    fetch_noise_set(noise, sets, waits_seconds=())
    next((sets / "musan").rglob("*.wav")).unlink()
    with pytest.raises(UsageError, match="14 of 15 audio files"):
        fetch_noise_set(noise, sets)


def test_without_room_nothing_is_begun(sets):
    noise = dataclasses.replace(find_noise_set("musan"), unpacked_bytes=10**10)
    with pytest.raises(EnvironmentSetupError, match=r"needs about 10\.0 GB"):
        fetch_noise_set(noise, sets, free=lambda _: 10**9)
    assert not sets.exists()
