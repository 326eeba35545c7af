"""What a person sees while a run works: one line per stage every few seconds, from any thread."""

import sys
import threading
import time


def duration(seconds: float) -> str:
    """ "7 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Prints lines of the run. Stages run side by side, so every line names its own."""

    def __init__(self, interval_s: float = 5.0) -> None:
        self.interval_s = interval_s
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def say(self, stage: str, message: str) -> None:
        elapsed = time.monotonic() - self._start
        with self._lock:
            print(f"{elapsed:7.1f} s  {stage:<34} {message}", file=sys.stdout, flush=True)

    def rows(self, stage: str, total: int, unit: str, already: int = 0) -> "RowProgress":
        """A counter of `total` rows, of which an earlier run did `already`."""
        return RowProgress(self, stage, total, unit, already)


class RowProgress:
    """Counts the rows of one stage and says so every few seconds."""

    def __init__(self, progress: Progress, stage: str, total: int, unit: str, already: int) -> None:
        self._progress = progress
        self._stage = stage
        self._total = total
        self._unit = unit
        self._done = self._already = already
        self._failed = 0
        self._extra: dict[str, int] = {}
        self._start = self._last = time.monotonic()

    def add(self, rows: int, failed: int = 0, **extra: int) -> None:
        """Count `rows` more (of which `failed`), and further totals such as tokens=812."""
        self._done += rows
        self._failed += failed
        for name, count in extra.items():
            self._extra[name] = self._extra.get(name, 0) + count
        now = time.monotonic()
        if now - self._last >= self._progress.interval_s or self._done >= self._total:
            self._last = now
            self._progress.say(self._stage, self._line(now))

    def _line(self, now: float) -> str:
        seconds = max(now - self._start, 1e-6)
        rate = (self._done - self._already) / seconds
        words = [f"{self._done:,}/{self._total:,} {self._unit}", f"{rate:,.1f} {self._unit}/s"]
        words += [f"{count / seconds:,.0f} {name}/s" for name, count in self._extra.items()]
        if self._failed:
            words.append(f"{self._failed:,} failed")
        if rate and self._done < self._total:
            words.append(f"ETA {duration((self._total - self._done) / rate)}")
        return "  ".join(words)
