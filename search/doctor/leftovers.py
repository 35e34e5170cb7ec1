"""Find and remove what killed processes left: packs, folders of results, sessions of Ray."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from search.cluster import local_head
from search.cluster.connection import session_folder
from search.core.paths import home
from search.doctor.check import Check
from search.reporting.formatting import format_duration
from spkmodel.core.shell import quote_path
from spkmodel.core.temporary import Abandoned, find_abandoned
from spkmodel.data import store_cache
from spkmodel.data.packing.unfinished import find_unfinished, remove_unfinished

_DEPTH = 3
"""Folders below the home folder that are looked into: searches, their trials, corpora."""
_SHOWN = 10
_NO_PROCESS = 0
"""In place of a process: of an unfinished store, which a lock belongs to and no process."""


def check_leftovers() -> list[Check]:
    """Name what killed processes of this machine left; it is removed by `doctor --clean`."""
    found = list(find_leftovers())
    if not found:
        return [Check("temporary files", "ok", "none without a living owner")]
    total = sum(each.bytes for each in found)
    shown = [_describe(each) for each in found[:_SHOWN]]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    text = f"{len(found)} without a living owner, {total / 1e6:,.1f} MB: " + "; ".join(shown + more)
    return [Check("temporary files", "note", text, "spksearch doctor --clean removes them")]


def clean() -> list[Abandoned]:
    """Remove what killed processes left, and return what was removed."""
    removed = []
    for each in list(find_leftovers()):
        if each.pid == _NO_PROCESS:
            remove_unfinished(each.path)
        elif each.path.is_dir() and not each.path.is_symlink():
            shutil.rmtree(each.path, ignore_errors=True)
        else:
            each.path.unlink(missing_ok=True)
        if not each.path.exists():
            removed.append(each)
    return removed


def find_leftovers() -> Iterator[Abandoned]:
    """Yield what ended processes of this machine left in the home folder, the cache and Ray's."""
    top = home()
    for folder, folders, _ in os.walk(top):
        place = Path(folder)
        yield from find_abandoned(place)
        if len(place.relative_to(top).parts) >= _DEPTH:
            folders.clear()
    for store in find_unfinished(top / "corpora"):
        parts = [file.lstat() for file in store.iterdir()]
        changed = max((found.st_mtime for found in parts), default=store.lstat().st_mtime)
        yield Abandoned(store, _NO_PROCESS, sum(found.st_size for found in parts), changed)
    cache = store_cache.cache_folder()
    for place in (cache, cache / "sounds"):
        yield from find_abandoned(place)
    for session in local_head.find_ended_sessions(session_folder()):
        files = [file.lstat() for file in session.rglob("*") if not file.is_dir()]
        pid = int(session.name.rpartition("_")[2])
        yield Abandoned(session, pid, sum(f.st_size for f in files), session.lstat().st_mtime)


def _describe(each: Abandoned) -> str:
    age = format_duration(max(0.0, time.time() - each.changed))
    owner = (
        "unfinished: packing the same corpus goes on there"
        if each.pid == _NO_PROCESS
        else f"of process {each.pid}"
    )
    return f"{quote_path(each.path)} ({each.bytes / 1e6:,.1f} MB, {age} old, {owner})"
