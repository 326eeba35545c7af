"""Heartbeats: a running job renews its leases and writes its progress to the store every few
seconds."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from gist_ray.errors import LeaseLostError
from gist_ray.run.acquire import (
    Attempt,
    Held,
    acquire,
    disown,
    release,
    renew,
    taken_by,
)
from gist_ray.run.lease import BEAT_S
from gist_ray.run.progress import Progress, StageProgress
from gist_ray.store import storage

PROGRESS_FILE = "progress.json"
"""Beside an artifact that is being made: the lease of its maker, and how far it is."""

END_TIMEOUT_S = 20.0

Listener = Callable[[Sequence[StageProgress]], None]


class Heartbeat:
    """Renews the leases of a run and of its running stages from a thread of its own.

    If the store cannot be reached, this prints one message and tries again at the next heartbeat;
    the work goes on, without a lease if need be. If another process holds a lease, `lost` stops the
    work.
    """

    def __init__(
        self,
        progress: Progress,
        *,
        run: Held | None = None,
        listeners: Sequence[Listener] = (),
        interval_s: float = BEAT_S,
    ) -> None:
        """run: the run's own lease, which ends with the heartbeats."""
        self.lost: Future[None] = Future()
        """Has a LeaseLostError once the run or a stage has lost its lease; never a result."""
        self.has_lost_run = False
        self._run = run
        self._progress = progress
        self._listeners = listeners
        self._interval_s = interval_s
        self._held: dict[str, Held] = {}
        self._attempts: dict[str, Attempt] = {}
        """The attempts to acquire leases of stages that run without one because the store could not
        be reached."""
        self._released: list[Held] = []
        self._lock = threading.Lock()
        self._complained = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_ended, daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join(END_TIMEOUT_S)
        if self._run:
            disown(self._run)

    @contextmanager
    def hold(self, name: str, uri: str) -> Iterator[None]:
        """Holds the lease of the stage `name`, which makes its artifact at `uri`, inside the block.
        Waits while another process does."""
        lease = storage.join(uri, PROGRESS_FILE)
        try:
            held = acquire(lease, lambda message: self._progress.say(name, message), name=name)
            self._held[name] = held
        except Exception as error:
            self._complain(error)
            self._attempts[name] = Attempt(lease, name=name)
        try:
            yield
        finally:
            with self._lock:
                self._attempts.pop(name, None)
                if ended := self._held.pop(name, None):
                    disown(ended)
                    self._released.append(ended)

    def check(self) -> None:
        """Raises LeaseLostError if the run or a stage has lost its lease."""
        if self.lost.done():
            self.lost.result()

    def _beat_until_ended(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._ended.wait(self._interval_s)
            self._beat()
        if self._run and not self.has_lost_run:
            self._try(partial(release, self._run))

    def _beat(self) -> None:
        if self._run and not self.has_lost_run:
            self._try(partial(self._renew_run, self._run))
        states = {state.name: asdict(state) for state in self._progress.stages()}
        for name, held in list(self._held.items()):
            self._try(partial(self._renew_stage, name, held, states.get(name, {"name": name})))
        for name, attempt in list(self._attempts.items()):
            self._try(partial(self._attempt, name, attempt))
        while self._released and self._try(partial(release, self._released[0])):
            del self._released[0]
        for listener in self._listeners:
            self._try(partial(listener, self._progress.stages()))

    def _try(self, task: Callable[[], None]) -> bool:
        try:
            task()
        except Exception as error:
            self._complain(error)
            return False
        return True

    def _renew_run(self, held: Held) -> None:
        try:
            renew(held)
        except LeaseLostError as error:
            self.has_lost_run = True
            self._lose(error)

    def _renew_stage(self, name: str, held: Held, state: dict[str, Any]) -> None:
        try:
            renew(held, **state)
        except LeaseLostError as error:
            with self._lock:
                if self._held.get(name) is not held:
                    return  # the stage has ended meanwhile
                del self._held[name]
            disown(held)
            self._lose(error)

    def _attempt(self, name: str, attempt: Attempt) -> None:
        held = attempt.once()
        with self._lock:
            is_running = self._attempts.get(name) is attempt
            if held and is_running:
                self._held[name] = held
            elif held:
                self._released.append(held)
            if (held and is_running) or attempt.is_held_by_living:
                self._attempts.pop(name, None)
        if is_running and attempt.is_held_by_living:
            self._lose(taken_by(attempt))

    def _lose(self, error: LeaseLostError) -> None:
        if not self.lost.done():
            self.lost.set_exception(error)

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._progress.say("run", f"could not write down how far it is, goes on ({error})")
        self._complained = True
