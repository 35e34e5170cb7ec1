"""Find out what a machine of a cluster is like; this code runs on every machine.

It travels as code, not by name, so that it runs where spksearch is missing or another version. So
it imports the standard library alone.
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


def probe(order: dict[str, Any]) -> dict[str, Any]:
    """Return all facts that are asked for, as plain values, whatever goes wrong."""
    facts: dict[str, Any] = {
        "host": socket.gethostname(),
        "versions": list_versions(order["packages"]),
        "code": hash_code(),
        "storage": try_storage(order["folder"], order["word"], order["name"]),
        "missing": find_missing_folders(order["folders"]),
        "free_bytes": measure_free_bytes(order["folder"]),
        "cache": cache_folder(),
        "cache_free_bytes": measure_free_bytes(cache_folder()),
        "stores": {path: hash_store(path) for path in order["stores"]},
    }
    if order["tracking"]:
        facts["tracking"] = check_tracking_server(order["tracking"])
    if order["gpus"]:
        facts["gpus"] = list_gpus()
    return facts


def read_clock() -> float:
    """Return the time of the wall clock."""
    return time.time()


def list_versions(packages: list[str]) -> dict[str, str]:
    """Return the installed versions; empty for a package that is not installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = ""
    return found


def hash_code() -> str:
    """Return a hash of our own source, empty without one.

    A version number alone does not tell: it does not change with every change of the code.
    """
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
    """Read what the driver wrote, then write, rename and list; return what failed, or empty."""
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
            # A network file system may report a full disk only here.
            os.fsync(file.fileno())
        step = "rename"
        beside.replace(place / name)
        step = "list"
        # Some network file systems cache listings: a new checkpoint would not be seen for a while.
        if not {"driver", name} <= {path.name for path in place.iterdir()}:
            return "list: not all files are listed that were written"
    except OSError as error:
        return f"{step}: {error.strerror or error}"
    return ""


def find_missing_folders(folders: list[str]) -> list[str]:
    """Return the folders that do not exist."""
    return [folder for folder in folders if not Path(folder).is_dir()]


def measure_free_bytes(folder: str) -> int | None:
    """Return the free bytes on the disk of a folder, or of the nearest one above that exists."""
    for path in (Path(folder), *Path(folder).parents):
        if path.exists():
            return shutil.disk_usage(path).free
    return None


def cache_folder() -> str:
    """Return the folder for corpora at URIs, as `spkmodel.data.store_cache.cache_folder` does."""
    named = os.environ.get("SPKSEARCH_CACHE")
    return named or str(Path(tempfile.gettempdir()) / f"spksearch-{os.getuid()}")


def hash_store(store: str) -> str:
    """Return a hash of a packed corpus, or why there is none.

    Small files count whole, the samples by their size and at 64 places: reading all of them would
    take minutes.
    """
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


def check_tracking_server(server: str) -> str:
    """Say why a tracking server cannot be reached from here; empty if it can."""
    # Without a proxy, as the driver reaches it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{server.rstrip('/')}/health", timeout=5):
            return ""
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection, which Python 3.14 warns about
        return f"it answers {error.code} {error.reason}"
    except (OSError, ValueError) as error:
        return f"no answer: {getattr(error, 'reason', error)}"


def list_gpus() -> list[str]:
    """Return the names of the GPUs that nvidia-smi lists; empty without nvidia-smi."""
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
