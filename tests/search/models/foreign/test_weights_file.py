"""A checkpoint of somebody else takes no more memory than its size says."""

import zipfile

import pytest
import torch

from search.core.errors import UsageError
from search.models.foreign.weights_file import read_weights_file
from spkmodel.core.foreign_file import ForeignFileError


def test_an_expanded_tensor_is_refused_before_it_is_looked_at(tmp_path):
    path = tmp_path / "small.model"
    torch.save({"w": torch.zeros(1).expand(1 << 18, 1 << 18)}, path)
    assert path.stat().st_size < 2000
    with pytest.raises(UsageError, match="claims 274877906944 bytes, of which the file holds 4"):
        read_weights_file(path)


@pytest.mark.parametrize("kind", ["meta", "sparse"])
def test_a_tensor_without_stored_values_is_refused(tmp_path, kind):
    tensor = torch.zeros(3, device="meta") if kind == "meta" else torch.eye(3).to_sparse()
    torch.save({"w": tensor}, tmp_path / "a.model")
    with pytest.raises(UsageError, match=r"is no plain tensor|cut short, damaged"):
        read_weights_file(tmp_path / "a.model")


def test_packed_records_are_refused(tmp_path):
    torch.save({"w": torch.zeros(100_000)}, tmp_path / "a.model")
    with (
        zipfile.ZipFile(tmp_path / "a.model") as source,
        zipfile.ZipFile(tmp_path / "b.model", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    with pytest.raises(UsageError, match="packed records"):
        read_weights_file(tmp_path / "b.model")


def test_a_device_is_not_read(tmp_path):
    (tmp_path / "a.model").symlink_to("/dev/zero")
    with pytest.raises((UsageError, ForeignFileError), match="is a device"):
        read_weights_file(tmp_path / "a.model")


def test_whole_tensors_and_views_of_them_are_read(tmp_path):
    weights = torch.arange(6.0).reshape(2, 3)
    torch.save({"__S__.w": weights.t(), "__S__.b": weights[0]}, tmp_path / "a.model")
    assert set(read_weights_file(tmp_path / "a.model").encoder) == {"w", "b"}
