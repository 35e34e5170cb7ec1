"""Read the tensors of a voxceleb_trainer checkpoint without running anything that is in it."""

import hashlib
import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from search.core.errors import UsageError
from spkmodel.core import foreign_file

LARGEST_BYTES = 8 << 30
_PREFIX = "__S__."
_LOSS_PREFIX = "__L__."
_WHOLE = "model_state_dict"
_FIRST_BYTES = 512

RIGHT = (
    "right is a file that voxceleb_trainer saved (model000000100.model, or a published one), or "
    "torch.save(model.state_dict(), path) of its network"
)


@dataclass(frozen=True)
class WeightsFile:
    """The contents of a checkpoint."""

    encoder: dict[str, Tensor]
    """Weights by the trainer's names, without any prefix."""
    loss: dict[str, Tensor]
    form: str
    """whole: with optimiser and epoch, since 2026. network: encoder and loss, 2020 to 2026.
    encoder: that alone."""
    epoch: int | None
    torch_since_2_1: bool
    """Whether torch 2.1 (2023) or later wrote it."""
    sha256: str


def read_weights_file(path: Path) -> WeightsFile:
    """Read the tensors of a checkpoint.

    Raises:
        UsageError: for any other kind of file; it says which, and what would be right.
    """
    _require_plausible(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how the file was written: what counts is an error
            # weights_only: unpickling such a file in full would run whatever it names.
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{path}: holds more than tensors, and what it would run was not run "
            f"({_shorten(error)}); {RIGHT}"
        ) from error
    except (
        RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError, MemoryError,
        OverflowError,
    ) as error:  # fmt: skip
        raise UsageError(
            f"{path}: cut short, damaged or not a torch file ({_shorten(error)}); {RIGHT}"
        ) from error
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return _split(path, content, sha256)


def _require_plausible(path: Path) -> None:
    """Refuse a file by its size and first bytes."""
    # torch.load reads all of a file before it knows what it is.
    foreign_file.require_regular(path)
    size = path.stat().st_size
    if not 0 < size <= LARGEST_BYTES:
        raise UsageError(f"{path}: {size} bytes; a checkpoint has up to {LARGEST_BYTES}; {RIGHT}")
    with path.open("rb") as file:
        start = file.read(_FIRST_BYTES)
    if what := _recognise(start):
        raise UsageError(f"{path}: {what}; {RIGHT}")
    if start.startswith(b"PK"):
        _require_torch_zip(path, size)


def _recognise(start: bytes) -> str:
    """Say what a file is by its first bytes; empty if it may be a torch file."""
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, saved in place of the model: open the address in a browser"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file: `git lfs pull` fetches it"
    if start[8:9] == b"{" and b'"dtype"' in start:
        return "safetensors; a checkpoint or a promoted model of ours is named by its folder"
    if start[:2] == b"\x1f\x8b" or start[257:262] == b"ustar":
        return "an archive; unpack it and name the model in it"
    if start.startswith((b"PK", b"\x80")):
        return ""
    return "not a torch file"


def _require_torch_zip(path: Path, size: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise UsageError(f"{path}: cut short or damaged ({error}); {RIGHT}") from error
    # torch writes its records as they are; packed ones could be a thousand times larger.
    if sum(entry.file_size for entry in entries) > size:
        raise UsageError(f"{path}: packed records, which torch does not write; {RIGHT}")
    names = {entry.filename.partition("/")[2] for entry in entries}
    if "constants.pkl" in names or "code" in {name.partition("/")[0] for name in names}:
        raise UsageError(f"{path}: a TorchScript program, which is not run here; {RIGHT}")
    if "data.pkl" not in names:
        raise UsageError(f"{path}: a zip archive without a torch file in it; {RIGHT}")
    # Counted before anything is unpacked: a small zip may hold very much.
    if sum(entry.file_size for entry in entries) > LARGEST_BYTES:
        raise UsageError(f"{path}: unpacks to more than {LARGEST_BYTES} bytes; {RIGHT}")


def _split(path: Path, content: Any, sha256: str) -> WeightsFile:
    form, epoch = "network", None
    if isinstance(content, dict) and _WHOLE in content:
        found = content.get("epoch")
        form, epoch = "whole", found if isinstance(found, int) else None
        content = content[_WHOLE]
    elif isinstance(content, dict) and set(content) == {"model"}:
        form, content = "encoder", content["model"]
    state = _read_state(path, content)
    encoder = {n.removeprefix(_PREFIX): t for n, t in state.items() if n.startswith(_PREFIX)}
    if not encoder:
        form = "encoder"
        # Saved from the network alone, without the trainer's wrapper.
        encoder = {n: t for n, t in state.items() if not n.startswith(_LOSS_PREFIX)}
    loss = {n.removeprefix(_LOSS_PREFIX): t for n, t in state.items() if n.startswith(_LOSS_PREFIX)}
    _require_finite(path, encoder)
    return WeightsFile(encoder, loss, form, epoch, _is_of_torch_2_1(path), sha256)


def _read_state(path: Path, content: Any) -> dict[str, Tensor]:
    """Return the tensors by name, without what DataParallel put into the names."""
    if not isinstance(content, dict) or not content:
        raise UsageError(
            f"{path}: holds {_describe_entry(content)}, not a network's weights; {RIGHT}"
        )
    for name, entry in content.items():
        if not isinstance(name, str) or not isinstance(entry, Tensor):
            raise UsageError(
                f"{path}: holds {_describe_entry(entry)} under {name!r} where a tensor should be "
                f"(its keys: {_list_some(content)}); {RIGHT}"
            )
        _require_stored(path, name, entry)
    return {_strip_wrapper(name): tensor for name, tensor in content.items()}


def _require_stored(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse a tensor that claims more values than its file holds, as an expanded one does."""
    is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if is_plain and not tensor.is_quantized:
        claimed = tensor.numel() * tensor.element_size()
        stored = tensor.untyped_storage().nbytes()
        if claimed > stored:
            raise UsageError(
                f"{path}: {foreign_file.shorten(name)} claims {claimed} bytes, of which the file "
                f"holds {stored}; {RIGHT}"
            )
        return
    raise UsageError(f"{path}: {foreign_file.shorten(name)} is no plain tensor of numbers; {RIGHT}")


def _strip_wrapper(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "module")


def _require_finite(path: Path, state: dict[str, Tensor]) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UsageError(
                f"{path}: {name} has values that are NaN or infinite: that training diverged; take "
                "an earlier checkpoint of it"
            )


def _is_of_torch_2_1(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/byteorder") for name in archive.namelist())


def _describe_entry(entry: Any) -> str:
    return "a tensor" if isinstance(entry, Tensor) else f"one {type(entry).__name__}"


def _list_some(names: Any) -> str:
    shown = [str(name) for name in list(names)[:4]]
    return ", ".join(shown) + (", ..." if len(names) > 4 else "")


def _shorten(error: BaseException) -> str:
    """Return the first sentence of an error: torch goes on to advise loading without protection."""
    text = str(error).partition("\n")[0]
    for end in (" Please", " Re-running", " (1)"):
        text = text.partition(end)[0]
    return text[:200] or type(error).__name__
