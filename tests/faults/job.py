"""The real job as a user starts it, and what it left."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gist_ray.settings.configs import CONFIGS
from tests.faults.machines import Machines

PIPELINE = CONFIGS.parent / "jobs" / "run.py"
POLL_S = 0.02


class Job:
    """A running `gist-ray run`; what it prints is kept in a file."""

    def __init__(self, words: list[str], machines: Machines, log: Path) -> None:
        self.log = log
        self._start = time.monotonic()
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*machines.beside_them, sys.executable, str(PIPELINE), *words],
                env={**os.environ, **machines.environment},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, stage: str, message: str) -> bool:
        """Whether a line of this stage begins so."""
        return re.search(rf" s  {re.escape(stage)} +{re.escape(message)}", self.output) is not None

    def wait_until(self, reached: Callable[[], bool], timeout_s: float = 600) -> None:
        """Return at the moment that `reached`; fail if the job ends before."""
        deadline = time.monotonic() + timeout_s
        while not reached():
            assert self._process.poll() is None, f"ended before:\n{self.output}"
            assert time.monotonic() < deadline, f"never came:\n{self.output}"
            time.sleep(POLL_S)

    def wait(self, timeout_s: float = 500) -> int:
        """Its exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end in {timeout_s} s:\n{self.output}") from None

    def kill(self) -> None:
        """kill -9 of the driver, which takes no notice of its workers."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start
