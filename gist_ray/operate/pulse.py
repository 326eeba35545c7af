"""What a running job tells the store every few seconds: that it lives, and how far it is."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from gist_ray.operate.life import BEAT_S, Sign, claim, sign
from gist_ray.run.progress import Progress, StageProgress
from gist_ray.store import storage

PROGRESS_FILE = "progress.json"
"""Beside an artifact that is being made: the sign of life of its maker, and how far it is."""

END_TIMEOUT_S = 20.0
WRITE_PATIENCE_S = 10.0
"""A beat that does not get through is given up for the next."""

Listener = Callable[[Sequence[StageProgress]], None]


class Pulse:
    """Writes the run's sign of life and those of its running stages from a thread of its own.

    A write that fails is said once and tried again at the next beat: it never stops the work.
    """

    def __init__(
        self,
        run_sign: str,
        progress: Progress,
        listeners: Sequence[Listener] = (),
        interval_s: float = BEAT_S,
    ) -> None:
        self._run_sign = run_sign
        self._progress = progress
        self._tasks = [self._write_signs, *(self._telling(listener) for listener in listeners)]
        self._interval_s = interval_s
        self._held: dict[str, str] = {}
        self._released: list[str] = []
        self._complained = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_ended, daemon=True)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join(END_TIMEOUT_S)

    @contextmanager
    def hold(self, key: str, uri: str) -> Iterator[None]:
        """While a stage makes its artifact at `uri`. Waits while another process does."""
        mark = storage.join(uri, PROGRESS_FILE)
        try:
            claim(mark, sign(key=key), lambda message: self._progress.say(key, message))
        except Exception as error:
            self._complain(error)
        self._held[key] = mark
        try:
            yield
        finally:
            del self._held[key]
            self._released.append(mark)

    def _beat_until_ended(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._ended.wait(self._interval_s)
            for task in self._tasks:
                try:
                    task()
                except Exception as error:
                    self._complain(error)
        try:
            storage.delete(self._run_sign)
        except Exception as error:
            self._complain(error)

    def _write_signs(self) -> None:
        _write(self._run_sign, sign())
        states = {state.key: asdict(state) for state in self._progress.stages()}
        for key, mark in list(self._held.items()):
            _write(mark, sign(**states.get(key, {"key": key})))
        while self._released:
            storage.delete(self._released[0])
            del self._released[0]

    def _telling(self, listener: Listener) -> Callable[[], None]:
        return lambda: listener(self._progress.stages())

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._progress.say("run", f"could not write down how far it is, goes on ({error})")
        self._complained = True


def _write(uri: str, found: Sign) -> None:
    data = json.dumps(found, ensure_ascii=False).encode()
    storage.write_bytes(uri, data, patience_s=WRITE_PATIENCE_S)
