"""Takes, renews and releases leases, such that of several processes one holds each.

A dead lease is never overwritten: its successor makes the next generation by an exclusive write, so
that one of several wins, also where an earlier successor died in the middle. A process that lost
its lease while it was suspended writes its own, older file at most, sees the newer one and stops.

What holds depends on the store:

- Local disks and NFS (O_EXCL), memory:// (within one process), S3 with If-None-Match (AWS, and
  servers that honour it): one process at most acquires a generation.
- S3 servers that ignore If-None-Match: of two that acquire within milliseconds both may win. The
  one whose file was overwritten finds out at its next heartbeat and stops.
- Everywhere: a holder that was suspended, or cut off from the store, for longer than SILENT_S may
  go on until its next heartbeat, which comes at once when it wakes up. What other processes do on
  its behalf, such as training workers on other machines, goes on until then too.
"""

import json
import math
import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gist_ray.errors import LeaseLostError, UserError
from gist_ray.run.lease import (
    BEAT_S,
    SILENT_S,
    Lease,
    file_of,
    generations_of,
    is_dead,
    is_on_this_machine,
    process_lease,
    read_file,
    silent_for,
    tokens_held,
    who,
)
from gist_ray.run.progress import duration
from gist_ray.store import storage

PATIENCE_S = 30.0
"""Seconds that a run waits for another one of its name to end."""

POLL_S = 1.0

RENEWAL_PATIENCE_S = 10.0
"""A renewal that does not get through is given up for the next."""


@dataclass(frozen=True)
class Held:
    """A lease that this process acquired."""

    uri: str
    """The file of the first generation."""
    generation: int
    token: str
    replaced: Lease | None
    """The lease of the dead process that held it before."""

    @property
    def file(self) -> str:
        return file_of(self.uri, self.generation)


class Attempt:
    """Attempts to acquire one lease, with the observations of its holder."""

    def __init__(self, uri: str, **more: Any) -> None:
        """more: further entries of the lease."""
        self.uri = uri
        self.other: Lease | None = None
        """The lease of another process that the last attempt found."""
        self._more = more
        self._changed: float | None = None
        self._first_seen = 0.0

    def once(self) -> Held | None:
        """Returns the lease if it is free, or its holder is dead and no other process takes it
        first; None if another process holds it."""
        generations = generations_of(self.uri)
        found = read_file(file_of(self.uri, generations[-1])) if generations else None
        if generations and found is None:
            return None  # released just now
        if found is not None and not self._looks_dead(found):
            return None
        self.other = None
        return _take(self.uri, generations, replaced=found, more=self._more)

    @property
    def is_held_by_living(self) -> bool:
        """Returns whether the holder is certainly alive: it runs on this machine, or has renewed
        its lease since this object first read it."""
        if not self.other:
            return False
        is_renewed = self._changed is not None and time.monotonic() - self._changed < 3 * BEAT_S
        return is_on_this_machine(self.other) or is_renewed

    def _looks_dead(self, found: Lease) -> bool:
        now = time.monotonic()
        if self.other is None:
            self._first_seen = now
        elif found != self.other:
            self._changed = now
        self.other = found
        # A clock that goes wrong must not keep the dead alive: without a change it is dead too.
        is_still = now - (self._changed or self._first_seen) > SILENT_S
        # A file that is not whole may be of a process that is just writing it.
        return (found != {} and is_dead(found)) or (is_still and not is_on_this_machine(found))


def acquire(
    uri: str, say: Callable[[str], None], *, patience_s: float = math.inf, **more: Any
) -> Held:
    """Acquires the lease at `uri` and returns it; waits while another living process holds it.

    Args:
        say: told once of the process that is waited for.
        more: what is written into the lease.

    Raises UserError if another process is alive still after `patience_s`, and the store's error if
    it cannot be reached and no living holder has been seen.
    """
    started = time.monotonic()
    attempt = Attempt(uri, **more)
    has_said = False
    while True:
        try:
            if held := attempt.once():
                return held
        except Exception:
            # What a living process holds is not taken because the store does not answer.
            if not attempt.other or time.monotonic() - started > patience_s:
                raise
        other = attempt.other
        if other and not has_said:
            say(f"{who(other)} is at it; waits for it to end or to fall silent")
            has_said = True
        if time.monotonic() - started > patience_s and other and attempt.is_held_by_living:
            raise UserError(
                f"{uri}: {who(other)} runs this already and had a heartbeat "
                f"{duration(silent_for(other))} ago. Wait for it or end it, or give this run "
                "another name=."
            )
        # drawn, so that two who gave way to each other do not meet again
        time.sleep(POLL_S * random.uniform(0.5, 1))


def renew(held: Held, **more: Any) -> None:
    """Writes a heartbeat into a lease. Raises LeaseLostError if this process no longer holds it.

    more: what is written into the lease.
    """
    began = time.monotonic()
    generations = generations_of(held.uri, RENEWAL_PATIENCE_S)
    newest = file_of(held.uri, generations[-1]) if generations else None
    found = read_file(newest, RENEWAL_PATIENCE_S) if newest else None
    # {} is a damaged file, which is written anew
    if newest != held.file or found is None or found.get("token", held.token) != held.token:
        raise _lost(held, found)
    content = process_lease(token=held.token, **more)
    storage.write_bytes(held.file, _json(content), patience_s=RENEWAL_PATIENCE_S)
    if time.monotonic() - began > SILENT_S:
        # Suspended between the look and the write: a successor may have come and gone meanwhile.
        release(held)
        raise _lost(held, None)


def disown(held: Held) -> None:
    """Drops a lease from the leases of this process; `release` deletes its file."""
    tokens_held.discard(held.token)


def release(held: Held) -> None:
    """Deletes the lease and the dead generations before it."""
    disown(held)
    found = read_file(held.file)
    if not found or found.get("token") != held.token:
        return  # a successor was done with it, and the file is another process's
    # The own one last: while it is there nobody begins to count anew.
    for generation in generations_of(held.uri):
        if generation < held.generation:
            storage.delete(file_of(held.uri, generation))
    storage.delete(held.file)


def _take(
    uri: str, generations: Sequence[int], *, replaced: Lease | None, more: Lease
) -> Held | None:
    """Writes the generation after `generations`; returns it, or None if another process wrote it.
    replaced: the lease of the last of `generations`, which is dead."""
    newest = generations[-1] if generations else 0
    held = Held(uri, newest + 1, uuid.uuid4().hex, replaced)
    tokens_held.add(held.token)
    is_ours = False
    try:
        storage.write_new(held.file, _json(process_lease(token=held.token, **more)))
        # Looked up, whatever the write said: its first answer may have been lost, and a server
        # that ignores If-None-Match says yes to all.
        found = read_file(held.file)
        if not found or found.get("token") != held.token:
            return None
        # What was seen before the write may have been old: the dead lease taken over by another
        # process, released, and the count begun anew.
        is_ours = generations_of(uri)[-1:] == [held.generation] and (
            not newest or _is_same(read_file(file_of(uri, newest)), replaced)
        )
        if not is_ours:
            storage.delete(held.file)
        return held if is_ours else None
    finally:
        if not is_ours:
            disown(held)


def _is_same(found: Lease | None, seen: Lease | None) -> bool:
    if found is None or seen is None:
        return False
    return found == seen if "token" not in seen else found.get("token") == seen["token"]


def taken_by(attempt: Attempt) -> LeaseLostError:
    """Returns the error of a process that worked without a lease and finds it held by a living
    one."""
    return LeaseLostError(
        f"{attempt.uri}: {who(attempt.other or {})} is at the same work. This process had begun it "
        "while the store could not be reached, and stops, so that two do not write the same files. "
        "The same command waits for the other process, or goes on from what is stored."
    )


def _lost(held: Held, successor: Lease | None) -> LeaseLostError:
    by = f"{who(successor)} has" if successor else "another process had"
    return LeaseLostError(
        f"{held.uri}: this process was without a heartbeat for so long (suspended, or cut off from "
        f"the store) that it was taken for dead, and {by} taken over its work. It stops, so that "
        "two do not write the same files. The same command waits for the other process, or goes "
        "on from what is stored."
    )


def _json(lease: Lease) -> bytes:
    return json.dumps(lease, ensure_ascii=False).encode()
