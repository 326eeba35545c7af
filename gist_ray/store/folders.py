"""Listings of the folders of a store: subfolders, sizes and abandoned temporary files."""

import time
from contextlib import suppress
from pathlib import Path

from gist_ray.store import storage

ABANDONED_AFTER_S = 60


def folders_in(uri: str) -> list[str]:
    """Returns the names of the folders directly in a folder; none if it does not exist."""
    fs, path = storage.filesystem(uri)
    try:
        found = storage.call(fs, "ls", path, True)
    except FileNotFoundError:
        return []
    folders = [entry["name"] for entry in found if entry["type"] == "directory"]
    return sorted(name.rstrip("/").split("/")[-1] for name in folders)


def num_bytes(uri: str) -> int:
    """Returns the total number of bytes of all files below a folder."""
    fs, path = storage.filesystem(uri)
    return int(storage.call(fs, "du", path))


def abandoned_files(uri: str) -> list[Path]:
    """Returns the temporary files of killed processes below a local folder: those that have not
    been written to for ABANDONED_AFTER_S. A folder that is not local has none."""
    if not storage.is_local(uri):
        return []
    found = []
    for file in Path(storage.absolute(uri)).rglob(f"*{storage.UNFINISHED}"):
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > ABANDONED_AFTER_S:
                found.append(file)
    return found
