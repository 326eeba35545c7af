"""Signs of life: small files by which processes that share a store know of each other.

A sign says which process it is of and when it was last written. It is written anew every few
seconds; one that is no longer written is of a process that died.
"""

import json
import math
import os
import socket
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from gist_ray.errors import UserError
from gist_ray.run.progress import duration
from gist_ray.store import storage

BEAT_S = 5.0
"""A living process writes its signs so often."""

SILENT_S = 30.0
"""Whoever has been silent for so long is taken for dead."""

PATIENCE_S = 30.0
"""How long a run waits for another of its name to end."""

POLL_S = 1.0

Sign = dict[str, Any]


def sign(**more: Any) -> Sign:
    """A sign of this process, now."""
    return {**_process(), "updated": time.time(), **more}


def read_sign(uri: str) -> Sign | None:
    """The sign that lies there, {} if it is not whole; None where there is none."""
    try:
        found = storage.read_json(uri)
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def silent_for(found: Sign) -> float:
    """Seconds since a sign was written, by the clocks of both machines."""
    return max(0.0, time.time() - float(found.get("updated", 0)))


def is_dead(found: Sign) -> bool:
    """Whether the process of a sign has ended: for certain where it ran on this machine, else
    because it is silent."""
    if not _is_here(found):
        return silent_for(found) > SILENT_S
    try:
        process = psutil.Process(found["pid"])
        is_same = abs(process.create_time() - found["process_started"]) < 2
        return not is_same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _is_here(found: Sign) -> bool:
    return found.get("machine") == _process()["machine"]


def is_own(found: Sign) -> bool:
    return all(found.get(name) == value for name, value in _process().items())


def who(found: Sign) -> str:
    return f"process {found.get('pid')} on {found.get('host')}"


def claim(
    uri: str, mine: Sign, say: Callable[[str], None], patience_s: float = math.inf
) -> Sign | None:
    """Leave the sign `mine` at `uri` once no other living process has its own there.

    Returns the sign of the dead process whose place was taken, if there was one. Raises UserError
    if another is still alive after `patience_s`.
    """
    started = changed = time.monotonic()
    last: Sign | None = None
    while not storage.write_new(uri, json.dumps(mine).encode()):
        other = read_sign(uri)
        if other is None:
            continue
        now = time.monotonic()
        if last is None and other and not is_own(other) and not is_dead(other):
            say(f"{who(other)} is at it; waits for it to end or to fall silent")
        if other != last:
            last, changed = other, now
        # A clock that goes wrong must not keep the dead alive: what never changes is dead too.
        is_still = not _is_here(other) and now - changed > SILENT_S
        # One that is not whole yet may be of a process that is just writing it.
        if is_own(other) or (other and is_dead(other)) or is_still:
            storage.write_json(uri, mine)
            return None if is_own(other) else other
        if now - started > patience_s and (_is_here(other) or now - changed < 3 * BEAT_S):
            raise UserError(
                f"{uri}: {who(other)} runs this already and gave a sign of life "
                f"{duration(silent_for(other))} ago. Wait for it or end it, or give this run "
                "another name=."
            )
        time.sleep(POLL_S)
    return None


@cache
def _process_of(pid: int) -> Sign:
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": pid,
        "process_started": psutil.Process(pid).create_time(),
    }


def _process() -> Sign:
    return _process_of(os.getpid())


def _machine() -> str:
    """Within which a process id means one process: a boot of a machine, and its container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()} {psutil.boot_time():.0f}"
