"""What runs on every machine of a cluster to see what it is like; the standard library alone.

It travels as code, not by name, so that it runs where spksearch is missing or another version.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_OWN = ("search", "spaces", "spkmodel")
_BLOCK = 1 << 16
_BLOCKS = 64


def look(order: dict[str, Any]) -> dict[str, Any]:
    """All that is asked for; plain values, whatever goes wrong."""
    facts: dict[str, Any] = {
        "host": socket.gethostname(),
        "versions": versions(order["packages"]),
        "code": code_hash(),
        "storage": try_storage(order["folder"], order["word"], order["name"]),
        "missing": missing_folders(order["folders"]),
        "free_bytes": free_bytes(order["folder"]),
        "cache": cache(),
        "cache_free_bytes": free_bytes(cache()),
        "stores": {path: fingerprint(path) for path in order["stores"]},
    }
    if order["tracking"]:
        facts["tracking"] = answer_of(order["tracking"])
    if order["gpus"]:
        facts["gpus"] = gpus()
    return facts


def clock() -> float:
    """The wall clock."""
    return time.time()


def versions(packages: list[str]) -> dict[str, str]:
    """What is installed; empty where something is not."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = ""
    return found


def code_hash() -> str:
    """Of our own source, for a version number does not change with every change; empty: none."""
    digest = hashlib.sha256()
    for package in _OWN:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            spec = None
        if spec is None or spec.origin is None:
            return ""
        folder = Path(spec.origin).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def try_storage(folder: str, word: str, name: str) -> str:
    """Read what the driver has written, write, rename and list; why not, or empty."""
    place = Path(folder)
    step = "read"
    try:
        if (place / "driver").read_text(encoding="utf-8") != word:
            return "another folder lies there than the driver's"
        step = "write"
        beside = place / f"{name}.tmp"
        with beside.open("w", encoding="utf-8") as file:
            file.write(word)
            file.flush()
            os.fsync(file.fileno())
        step = "rename"
        beside.replace(place / name)
        step = "list"
        if not {"driver", name} <= {path.name for path in place.iterdir()}:
            return "list: not all files are listed that were written"
    except OSError as error:
        return f"{step}: {error.strerror or error}"
    return ""


def missing_folders(folders: list[str]) -> list[str]:
    """Those that are not there."""
    return [folder for folder in folders if not Path(folder).is_dir()]


def free_bytes(folder: str) -> int | None:
    """Room on the disk of a folder, or of the nearest one above it that is there."""
    for path in (Path(folder), *Path(folder).parents):
        if path.exists():
            return shutil.disk_usage(path).free
    return None


def cache() -> str:
    """Where a corpus at a URI is kept there; as `spkmodel.data.store_cache.cache` has it."""
    named = os.environ.get("SPKSEARCH_CACHE")
    return named or str(Path(tempfile.gettempdir()) / f"spksearch-{os.getuid()}")


def fingerprint(store: str) -> str:
    """Of a packed corpus: small files whole, of the samples the size and 64 places; or why not."""
    folder = Path(store)
    digest = hashlib.sha256()
    try:
        for name in ("corpus.json", "index.npz"):
            digest.update((folder / name).read_bytes())
        samples = folder / "audio.i16"
        size = samples.stat().st_size
        digest.update(str(size).encode())
        with samples.open("rb") as file:
            for number in range(_BLOCKS):
                file.seek(max(0, size - _BLOCK) * number // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK))
    except OSError as error:
        return f"{error.strerror or error}"
    return digest.hexdigest()


def answer_of(server: str) -> str:
    """Why a tracking server cannot be reached from here; empty if it can."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{server.rstrip('/')}/health", timeout=5):
            return ""
    except urllib.error.HTTPError as error:
        return f"it answers {error.code} {error.reason}"
    except (OSError, ValueError) as error:
        return f"no answer: {getattr(error, 'reason', error)}"


def gpus() -> list[str]:
    """Names of the GPUs that the driver program of NVIDIA knows."""
    try:
        said = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.stdout.splitlines() if line.strip()]
