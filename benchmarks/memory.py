"""How much memory a process, or a tree of processes, takes at most (Linux)."""

import threading
from pathlib import Path

import psutil


def resident_bytes() -> int:
    """Bytes that this process holds now."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """The most that this process has held since `forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> None:
    # proc(5): 5 resets the peak to what is held now
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {name}")


class WorkerMemory:
    """Watches Ray's workers below this process; `peak_bytes` is the most that one of them held.

    What they share, such as the object store, is left out.
    """

    def __init__(self, interval_s: float = 0.2) -> None:
        self.peak_bytes = 0
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "WorkerMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval_s):
            for process in psutil.Process().children(recursive=True):
                try:
                    if process.name().startswith("ray::"):
                        held = process.memory_info()
                        self.peak_bytes = max(self.peak_bytes, held.rss - held.shared)
                except psutil.NoSuchProcess:
                    continue
