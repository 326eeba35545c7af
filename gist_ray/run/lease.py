"""Leases: small files in the store by which one process at a time runs a run, or makes an artifact.

This module reads leases and judges them; `acquire` takes, renews and releases them.

A lease at `alive.json` is a sequence of generations: the files `alive.json`, `alive.2.json`,
`alive.3.json` and so on. The newest generation is in force. Only its holder writes that file, again
and again (a heartbeat); a lease without heartbeats is of a process that died.
"""

import json
import os
import re
import socket
import time
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from gist_ray.store import storage

BEAT_S = 5.0
"""Seconds between two heartbeats of a process."""

SILENT_S = 30.0
"""A process without a heartbeat for so many seconds is taken for dead."""

Lease = dict[str, Any]
"""The content of a lease's file: host, machine, pid, process_started, updated (seconds since 1970),
token (unique to each acquisition), and what its holder adds."""

tokens_held = set[str]()
"""Tokens of the leases that this process holds."""


def process_lease(**more: Any) -> Lease:
    """Returns the content of a lease of this process with the current time."""
    return {**_process(), "updated": time.time(), **more}


def read_lease(uri: str) -> Lease | None:
    """Returns the lease in force at `uri`, {} if its file is incomplete, None if there is none."""
    while generations := generations_of(uri):
        found = read_file(file_of(uri, generations[-1]))
        if found is not None:
            return found
        # it was released between the listing and the reading
    return None


def silent_for(lease: Lease) -> float:
    """Returns the seconds since a lease was last renewed, by the clocks of both machines."""
    return max(0.0, time.time() - float(lease.get("updated", 0)))


def is_dead(lease: Lease) -> bool:
    """Returns whether the holder of a lease has ended. This is certain if it ran on this machine;
    else it is inferred from missing heartbeats."""
    if is_own(lease):
        return "token" in lease and lease["token"] not in tokens_held
    if not is_on_this_machine(lease):
        return silent_for(lease) > SILENT_S
    try:
        process = psutil.Process(lease["pid"])
        is_same = abs(process.create_time() - lease["process_started"]) < 2
        return not is_same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_on_this_machine(lease: Lease) -> bool:
    return lease.get("machine") == _process()["machine"]


def is_own(lease: Lease) -> bool:
    return all(lease.get(name) == value for name, value in _process().items())


def who(lease: Lease) -> str:
    return f"process {lease.get('pid')} on {lease.get('host')}"


def file_of(uri: str, generation: int) -> str:
    stem, suffix = os.path.splitext(uri)
    return uri if generation == 1 else f"{stem}.{generation}{suffix}"


def generations_of(uri: str, patience_s: float = storage.PATIENCE_S) -> list[int]:
    """Returns the generations that have a file, ascending."""
    stem, suffix = os.path.splitext(uri)
    name = re.escape(stem.rsplit("/", 1)[-1])
    pattern = re.compile(rf"{name}(?:\.(\d+))?{re.escape(suffix)}")
    names = storage.names_starting_with(f"{stem}.", patience_s)
    return sorted(int(found[1] or 1) for found in map(pattern.fullmatch, names) if found)


def read_file(uri: str, patience_s: float = storage.PATIENCE_S) -> Lease | None:
    try:
        found = json.loads(storage.read_bytes(uri, patience_s=patience_s))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@cache
def _process_of(pid: int) -> Lease:
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": pid,
        "process_started": psutil.Process(pid).create_time(),
    }


def _process() -> Lease:
    return _process_of(os.getpid())


def _machine() -> str:
    """Returns the identity of a boot of this machine and of its container, within which a process
    id is unique."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()} {psutil.boot_time():.0f}"
