import errno
import json
import os

import pytest
import torch

from spkmodel.core import checkpoint, foreign_file


def _written(folder):
    tensors = {"encoder.weight": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(3)}
    return checkpoint.write(folder, tensors, {"epoch": 3, "config": {"seed": 1}}), tensors


def test_what_is_written_is_read_back_with_the_same_hash(tmp_path):
    sha256, tensors = _written(tmp_path / "deep" / "epoch0003")
    saved = checkpoint.read(tmp_path / "deep" / "epoch0003", sha256)
    assert saved.sha256 == sha256
    assert saved.state == {"epoch": 3, "config": {"seed": 1}}
    assert set(saved.tensors) == set(tensors)
    assert all(torch.equal(saved.tensors[name], tensors[name]) for name in tensors)


def test_the_same_contents_have_the_same_hash(tmp_path):
    assert _written(tmp_path / "a")[0] == _written(tmp_path / "b")[0]


def test_nothing_is_left_beside_a_checkpoint(tmp_path):
    _written(tmp_path / "a")
    _written(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        checkpoint.STATE,
        checkpoint.TENSORS,
    ]


def test_a_write_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        checkpoint.write(tmp_path / "a", {"w": torch.zeros(1)}, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", [checkpoint.TENSORS, checkpoint.STATE])
def test_one_changed_byte_is_refused(tmp_path, file):
    sha256, _ = _written(tmp_path / "a")
    path = tmp_path / "a" / file
    damaged = bytearray(path.read_bytes())
    damaged[-2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(checkpoint.CheckpointError, match="changed or damaged"):
        checkpoint.read(tmp_path / "a", sha256)


def test_a_folder_without_checkpoint_says_what_one_is(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match=checkpoint.TENSORS):
        checkpoint.read(tmp_path)


def test_a_pickle_is_never_loaded(tmp_path):
    folder = tmp_path / "evil"
    folder.mkdir()
    torch.save({"weight": torch.zeros(1)}, folder / checkpoint.TENSORS)
    (folder / checkpoint.STATE).write_text(json.dumps({"epoch": 1}))
    with pytest.raises(checkpoint.CheckpointError, match="not a checkpoint of ours"):
        checkpoint.read(folder)


def test_what_the_storage_refuses_is_told_with_its_place(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    sha256, _ = _written(tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match=f"{tmp_path}/.*tensors"):
            _written(tmp_path / "b")
    monkeypatch.setattr(foreign_file, "read_bytes", refuse)
    with pytest.raises(OSError, match=f"{tmp_path}/a/tensors"):
        checkpoint.read(tmp_path / "a", sha256)


@pytest.mark.parametrize(
    "state", [b"[1]", b'{"a":' + b"[" * 200_000, b'{"a": NaN}', b"\xff", b"", b'{"a":1,"a":2}']
)
def test_a_state_that_is_no_object_is_the_checkpoints_fault(tmp_path, state):
    checkpoint.write(tmp_path / "c", {"w": torch.zeros(1)}, {})
    (tmp_path / "c" / checkpoint.STATE).write_bytes(state)
    with pytest.raises(checkpoint.CheckpointError, match=r"not a checkpoint of ours: state\.json"):
        checkpoint.read(tmp_path / "c")
