"""The tables of a running sweep, written anew when trials end, so that an interrupted sweep can be
read."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gist_ray.run.cluster import cluster_resources
from gist_ray.run.environment import environment
from gist_ray.run.progress import Progress, duration
from gist_ray.store import storage
from gist_ray.sweep.choice import MODES
from gist_ray.sweep.perform import empty_row
from gist_ray.sweep.space import Params
from gist_ray.sweep.tables import (
    SWEEP_FILE,
    Row,
    by_group,
    by_status,
    read_row,
    write_row,
    write_tables,
)
from gist_ray.sweep.trials import Task, Trial

EVERY_S = 5.0

SHARED = "shared"
"""trial_id of the row of artifacts that trials share."""


class Board:
    """Rows of all trials in the order of the sweep, including those that have not run."""

    def __init__(
        self,
        task: Task,
        trials: Sequence[Trial],
        *,
        num_trials: int,
        progress: Progress,
    ) -> None:
        self._task = task
        self._rows: dict[str, Row] = {t.trial_id: empty_row(task, t) for t in trials}
        self._progress = progress
        self._num_trials = num_trials
        self._start = time.monotonic()
        self._earlier = _read_earlier(task)
        self._shared: Row = read_row(task.folder, SHARED) or {}
        self._written = 0.0
        self._lock = threading.Lock()

    @property
    def rows(self) -> list[Row]:
        return list(self._rows.values())

    def note_shared(self, row: Row) -> None:
        """Adds what was made for several trials before they start, and writes it."""
        made = Counter(self._shared.get("made", {})) + Counter(row["made"])
        self._shared = {"trial_id": SHARED, "made": dict(made)}
        write_row(self._task.folder, self._shared)

    def put(self, row: Row) -> None:
        """Sets the row of a trial, from an earlier start or from its plan."""
        self._rows[row["trial_id"]] = row

    def ended(self, row: Row) -> None:
        """Sets the row of a trial that has just ended, reports it, and writes the tables if the
        last time was over EVERY_S seconds ago."""
        self.put(row)
        counts = by_status(self.rows)
        done = len(self._rows) - counts.get("not_run", 0)
        words = [f"{row['status']} ({done} of {self._num_trials})"]
        names = ("val_accuracy", "val_log_loss")
        words += [f"{name} {row[name]:.4g}" for name in names if row.get(name) is not None]  # type: ignore[literal-required]
        words += [f"{key}={value}" for key, value in row["params"].items()]
        words += [row["error"]] if row["error"] else []
        self._progress.say(f"trial {row['trial_id']}", "  ".join(words))
        if time.monotonic() - self._written > EVERY_S:
            self.write()

    def write(self, *, chosen: Params | None = None, is_over: bool = False) -> None:
        with self._lock:
            write_tables(self._task.folder, self.rows)
            found = self._summary(chosen, is_over)
            storage.write_json(storage.join(self._task.folder, SWEEP_FILE), found)
            self._written = time.monotonic()

    def _summary(self, chosen: Params | None, is_over: bool) -> dict[str, Any]:
        sweep, base, now = self._task.sweep, self._task.base, time.time()
        seconds = time.monotonic() - self._start
        asha = {"grace_epochs": sweep.grace_epochs, "reduction_factor": sweep.reduction_factor}
        rows = [*self.rows, self._shared]
        return {
            "name": base["name"],
            "space": sweep.space,
            "search": sweep.search,
            "scheduler": {"name": sweep.scheduler, **(asha if sweep.scheduler == "asha" else {})},
            "measure": sweep.measure,
            "metric": {"name": sweep.metric, "mode": MODES[sweep.metric]},
            "seed": sweep.seed,
            "seeds": sweep.space.get("study.seeds", base["study"]["seeds"]),
            "started": self._earlier.get("started", now - seconds),
            "ended": now if is_over else None,
            "seconds": round(self._earlier.get("seconds", 0.0) + seconds, 3),
            "hardware": cluster_resources(),
            "environment": environment(),
            "num_trials": by_status(self.rows),
            "stages": {"made": by_group(rows, "made"), "stored": by_group(rows, "stored")},
            "chosen": chosen,
            "base": {key: base[key] for key in ("name", "root")},
        }

    def close(self) -> None:
        counts = by_status(self.rows)
        told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        seconds = duration(time.monotonic() - self._start)
        self._progress.say("sweep", f"{len(self._rows)} trials in {seconds}: {told}")


def _read_earlier(task: Task) -> dict[str, Any]:
    """Returns the summary of an earlier start, whose time counts too; {} if there is none for the
    same space and measure."""
    try:
        found: dict[str, Any] = storage.read_json(storage.join(task.folder, SWEEP_FILE))
    except (FileNotFoundError, ValueError):
        return {}
    is_same = found.get("space") == task.sweep.space and found.get("measure") == task.sweep.measure
    return found if is_same else {}
