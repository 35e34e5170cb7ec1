"""Archives give their regular files one by one, and hostile ones give nothing away."""

import io
import itertools
import os
import stat
import tarfile
import zipfile

import pytest

from search.core.errors import UsageError
from search.data.public import unpack
from search.data.public.unpack import iterate_files, iterate_members

FILES = {"a/1.wav": b"one", "b/2.wav": b"two" * 1000}


def tar_of(path, files, change=None):
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if change is not None:
                change(entry)
            out.addfile(entry, io.BytesIO(content))
    return path


def zip_of(path, files):
    with zipfile.ZipFile(path, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)
    return path


def read(parts):
    found = {}
    for member in iterate_members(parts):
        content = io.BytesIO()
        member.copy_to(content)
        found[member.name] = content.getvalue()
    return found


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_every_regular_file_comes_with_its_contents(tmp_path, make):
    assert read([make(tmp_path / "x", {f"./{n}": c for n, c in FILES.items()})]) == FILES


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_an_archive_in_pieces_is_read_as_one(tmp_path, make):
    whole = make(tmp_path / "x", FILES).read_bytes()
    interruptions = [0, 50, 51, len(whole)]
    pieces = []
    for start, end in itertools.pairwise(interruptions):
        pieces.append(tmp_path / f"x{start}")
        pieces[-1].write_bytes(whole[start:end])
    assert read(pieces) == FILES


@pytest.mark.parametrize("name", ["../out.wav", "a/../../out.wav", "..\\out.wav"])
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_name_that_leads_out_ends_the_work(tmp_path, make, name):
    with pytest.raises(UsageError, match=r"out\.wav.* is refused"):
        read([make(tmp_path / "x", {"a/1.wav": b"", name: b"evil"})])


def test_an_absolute_name_in_a_zip_is_refused(tmp_path):
    with pytest.raises(UsageError, match="leads out of the archive"):
        read([zip_of(tmp_path / "x", {"/etc/passwd": b""})])


@pytest.mark.parametrize(
    ("kind", "leads"), [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../../x")]
)
def test_a_link_out_of_a_tar_is_refused(tmp_path, kind, leads):
    def link(entry):
        entry.type, entry.linkname, entry.size = kind, leads, 0

    with pytest.raises(UsageError, match="is refused"):
        read([tar_of(tmp_path / "x", {"a/1.wav": b""}, link)])


def test_a_device_in_a_tar_is_refused(tmp_path):
    def device(entry):
        entry.type, entry.size = tarfile.CHRTYPE, 0

    with pytest.raises(UsageError, match="is refused"):
        read([tar_of(tmp_path / "x", {"dev/zero": b""}, device)])


def test_a_link_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w") as out:
        entry = zipfile.ZipInfo("a/1.wav")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(entry, "/etc/passwd")
    with pytest.raises(UsageError, match="it is a link"):
        read([tmp_path / "x"])


def test_a_file_larger_than_any_utterance_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "LARGEST_FILE", 2000)
    with pytest.raises(UsageError, match="3000 bytes are more than the 2000 allowed"):
        read([tar_of(tmp_path / "x", FILES)])


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_an_archive_that_was_cut_short_is_named(tmp_path, make):
    path = make(tmp_path / "x", {"a": os.urandom(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UsageError, match=f"{path}: not a whole tar or zip archive"):
        read([path])


def test_of_a_folder_links_are_left_alone(tmp_path):
    (tmp_path / "f" / "a").mkdir(parents=True)
    (tmp_path / "f" / "a" / "1.wav").write_bytes(b"one")
    (tmp_path / "f" / "link.wav").symlink_to("/etc/passwd")
    assert [member.name for member in iterate_files(tmp_path / "f")] == ["a/1.wav"]
