"""What lies in the folders of a store."""

import time
from contextlib import suppress
from pathlib import Path

from gist_ray.store import storage

ABANDONED_AFTER_S = 60


def folders_in(uri: str) -> list[str]:
    """Names of the folders directly in a folder; none where it is not there."""
    fs, path = storage.filesystem(uri)
    try:
        found = storage.call(fs, "ls", path, True)
    except FileNotFoundError:
        return []
    folders = [entry["name"] for entry in found if entry["type"] == "directory"]
    return sorted(name.rstrip("/").split("/")[-1] for name in folders)


def num_bytes(uri: str) -> int:
    """Of all files below a folder."""
    fs, path = storage.filesystem(uri)
    return int(storage.call(fs, "du", path))


def abandoned_files(uri: str) -> list[Path]:
    """What killed processes had begun to write below a local folder: temporary files that nobody
    has written to for a while."""
    if not storage.is_local(uri):
        return []
    found = []
    for file in Path(storage.absolute(uri)).rglob(f"*{storage.UNFINISHED}"):
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > ABANDONED_AFTER_S:
                found.append(file)
    return found
