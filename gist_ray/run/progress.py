"""Progress of a run: one printed line per stage every few seconds, and the same figures for readers
in any thread."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

MIN_RATE_S = 1.0
"""Seconds below which no rate is computed, because the steps of a short training arrive
together."""


def duration(seconds: float) -> str:
    """Returns a duration as text: "7 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@dataclass
class StageProgress:
    """Progress of one stage, as plain values that are stored unchanged."""

    name: str
    kind: str
    uri: str
    """The folder of its artifact."""
    started: float = field(default_factory=time.time)
    """Seconds since 1970."""
    outcome: Literal["running", "made", "failed"] = "running"
    seconds: float | None = None
    unit: str = "rows"
    total: int | None = None
    done: int = 0
    """Rows that are stored, well or failed; steps of a training."""
    already: int = 0
    """Rows or steps of `done` that an earlier run made."""
    failed: dict[str, int] = field(default_factory=dict)
    """Rows that failed in this run, by kind of error."""
    counts: dict[str, int] = field(default_factory=dict)
    """Further totals of this run, such as tokens."""
    rate: float | None = None
    """Rows or steps per second in this run."""
    values: dict[str, float] = field(default_factory=dict)
    """The last measured values by name, such as the loss."""

    @property
    def lasts(self) -> float:
        """Returns the seconds that the stage took, or has been running."""
        return time.time() - self.started if self.seconds is None else self.seconds


class Progress:
    """Prints the progress of a run. Stages run in parallel, so every line names its stage.
    measured: called with a stage when values of it were measured, such as the loss of an epoch.

    measured: told of a stage whenever values of it were measured, such as the loss of an epoch.
    """

    def __init__(
        self,
        interval_s: float = 5.0,
        measured: Callable[[StageProgress], None] = lambda state: None,
    ) -> None:
        self.interval_s = interval_s
        self.measured = measured
        self._stages: dict[str, StageProgress] = {}
        self._lock = threading.RLock()
        self._start = time.monotonic()

    def say(self, stage: str, message: str) -> None:
        elapsed = time.monotonic() - self._start
        with self._lock:
            print(f"{elapsed:7.1f} s  {stage:<34} {message}", file=sys.stdout, flush=True)

    @contextmanager
    def running(self, name: str, kind: str, uri: str) -> Iterator[None]:
        """Records the stage as running inside the block, and its outcome and seconds at the end."""
        start = time.monotonic()
        state = StageProgress(name, kind, uri)
        with self._lock:
            self._stages[name] = state
        outcome: Literal["made", "failed"] = "failed"
        try:
            yield
            outcome = "made"
        finally:
            with self._lock:
                state.outcome, state.seconds = outcome, time.monotonic() - start

    def rows(self, stage: str, total: int, unit: str, *, already: int = 0) -> "RowProgress":
        """Returns a counter of `total` rows, of which an earlier run did `already`."""
        return RowProgress(self, stage, total, unit=unit, already=already)

    def stages(self) -> list[StageProgress]:
        """Returns the progress of all stages that ran or run."""
        with self._lock:
            return [
                replace(
                    state,
                    failed=dict(state.failed),
                    counts=dict(state.counts),
                    values=dict(state.values),
                )
                for state in self._stages.values()
            ]

    @contextmanager
    def stage(self, name: str) -> Iterator[StageProgress]:
        """Yields the stage's progress, locked against other threads."""
        with self._lock:
            yield self._stages.setdefault(name, StageProgress(name, "", ""))


class RowProgress:
    """A counter of the rows or steps of one stage, which prints every few seconds."""

    def __init__(
        self, progress: Progress, stage: str, total: int, *, unit: str, already: int
    ) -> None:
        self._progress = progress
        self._stage = stage
        self._start = self._last = time.monotonic()
        with progress.stage(stage) as state:
            state.total, state.unit, state.done, state.already = total, unit, already, already

    @property
    def done(self) -> int:
        with self._progress.stage(self._stage) as state:
            return state.done

    def add(
        self,
        rows: int,
        failed: Mapping[str, int] | None = None,
        values: Mapping[str, float] | None = None,
        **counts: int,
    ) -> None:
        """Adds `rows` (of which `failed`, by kind), sets values (the loss), and adds to further
        totals such as tokens=812."""
        now = time.monotonic()
        seconds = max(now - self._start, 1e-6)
        with self._progress.stage(self._stage) as state:
            state.done += rows
            _add(state.failed, failed or {})
            _add(state.counts, counts)
            state.values |= values or {}
            if state.done > state.already and seconds >= MIN_RATE_S:
                state.rate = (state.done - state.already) / seconds
            line = _line(state, seconds)
            is_complete = state.done >= (state.total or 0)
            found = replace(state, values=dict(state.values))
        if values:
            self._progress.measured(found)
        if now - self._last >= self._progress.interval_s or is_complete:
            self._last = now
            self._progress.say(self._stage, line)


def _add(totals: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        totals[name] = totals.get(name, 0) + count


def _line(state: StageProgress, seconds: float) -> str:
    unit, rate, total = state.unit, state.rate or 0, state.total or 0
    words = [f"{state.done:,}/{total:,} {unit}"]
    words += [f"{rate:,.1f} {unit}/s"] if rate else []
    words += [f"{name} {value:.4g}" for name, value in state.values.items()]
    words += [f"{count / seconds:,.0f} {name}/s" for name, count in state.counts.items()]
    if state.failed:
        words.append(f"{sum(state.failed.values()):,} failed")
    if rate and state.done < total:
        words.append(f"ETA {duration((total - state.done) / rate)}")
    return "  ".join(words)
