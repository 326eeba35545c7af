"""Checks, before any work, whether a run can read or write at a URI."""

import os
import re

from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

from gist_ray.store import storage
from gist_ray.store.retry import failure_kind

CHECK_PATIENCE_S = 20.0
"""Shorter than PATIENCE_S, so that a mistyped endpoint is reported soon."""

WRITE_PROBE = ".gist-ray-write-probe"

PATTERN = re.compile(r"[*?]|\{[^{}]*(,|\.\.)[^{}]*\}")

FAILURES = (OSError, ValueError, ImportError, BotoCoreError)


def is_pattern(path: str) -> bool:
    """Returns whether a path is a pattern for several files, such as train-{000..012}.tar or
    *.parquet."""
    return bool(PATTERN.search(path))


def why_missing(uri: str) -> str:
    """Returns "" if there is a file or folder at `uri`, else the problem."""
    try:
        found = storage.exists(uri, CHECK_PATIENCE_S)
        return "" if found else "there is no such file or folder"
    except FAILURES as error:
        return f"cannot be reached ({_message(error)})"


def why_unwritable(uri: str) -> str:
    """Returns "" if files can be made below `uri`, which need not exist yet, else the problem.

    Whether a bucket is writable shows only in an attempt: an empty object is written and deleted.
    """
    if storage.is_local(uri):
        path = storage.absolute(uri)
        while not os.path.exists(path):
            path = os.path.dirname(path)
        allowed = os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)
        return "" if allowed else f"{path} is no folder that this user may write to"
    probe = storage.join(uri, WRITE_PROBE)
    doing = "listed"
    try:
        if uri.startswith("s3") and not storage.exists(_bucket(uri), CHECK_PATIENCE_S):
            return f"there is no bucket {_bucket(uri).split('/')[2]}"
        next(iter(storage.list_files(uri)), None)
        doing = "written to"
        storage.write_bytes(probe, b"")
        doing = "deleted from"
        storage.delete(probe)
    except FAILURES as error:
        if failure_kind(error) == "forbidden":
            return f"must not be {doing} with these credentials ({_message(error)})"
        return f"cannot be reached ({_message(error)})"
    return ""


def _bucket(uri: str) -> str:
    return "/".join(uri.split("/")[:3])


def _message(error: Exception) -> str:
    return str(error) or type(error).__name__
