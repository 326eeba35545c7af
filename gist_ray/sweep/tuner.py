"""Trials on Ray Tune. Results are read from the store, not from Tune: an interrupted sweep
continues from the rows of its trials, and nothing that Tune pickles is read."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any

import ray.data
from ray import tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from gist_ray.run.progress import StageProgress
from gist_ray.run.warm import warm_workers
from gist_ray.store import storage
from gist_ray.sweep.capacity import Machine
from gist_ray.sweep.perform import empty_row, perform
from gist_ray.sweep.suggest import params_of
from gist_ray.sweep.tables import Row, read_row, write_row
from gist_ray.sweep.trials import Task, Trial, make_trial
from gist_ray.train.job import STOP_FILE

TIMES_TRIED = 2
"""Number of tries of a trial whose process dies; its stages continue where they were."""

MAX_EPOCHS = 10**6
"""More epochs than any training has; ASHA would stop a trial there."""

# Paths in a config may be relative to where the job was started; Ctrl-C is the job's own to answer;
# trackers are those that were asked for; an epoch has other metrics than a trial that has ended.
SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
}

Ended = Callable[[Row], None]


def tune_trials(
    task: Task,
    how: dict[str, Any],
    ended: Ended,
    *,
    at_once: int,
    leader_cpus: float,
    share: Machine,
    trackers: Sequence[tune.Callback],
) -> bool:
    """Runs trials, `at_once` at a time with `share` (CPUs, GPUs) of the cluster each.

    how: Tune's arguments that select the trials, from `listed` or `suggested`. ended: called with
    the row of every trial that ends. leader_cpus: what the process that leads a trial asks Ray for,
    with its warm worker. share: what Ray Data may take besides.

    Returns whether it ended before the time budget did.
    """
    start = time.monotonic()
    os.environ.update(SETTINGS)
    sweep = task.sweep
    budget = sweep.time_budget_minutes
    name_of = partial(_name, task)
    folder = tempfile.mkdtemp(prefix="gist-ray-tune-")
    address = os.environ.get("RAY_ADDRESS", "")
    lead = tune.with_parameters(_lead, task=task, share=share, address=address)
    try:
        tune.Tuner(
            tune.with_resources(lead, {"CPU": leader_cpus}),
            param_space=how.get("param_space"),
            tune_config=tune.TuneConfig(
                search_alg=how.get("search_alg"),
                num_samples=how.get("num_samples", 1),
                scheduler=_Asha(task) if sweep.scheduler == "asha" else None,
                max_concurrent_trials=at_once,
                time_budget_s=None if budget is None else 60 * budget,
                reuse_actors=True,
                trial_name_creator=name_of,
                trial_dirname_creator=name_of,
            ),
            run_config=tune.RunConfig(
                name=task.base["name"],
                storage_path=folder,
                callbacks=[_Rows(task, ended), *trackers],
                failure_config=tune.FailureConfig(max_failures=TIMES_TRIED - 1),
                verbose=0,
            ),
        ).fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return budget is None or time.monotonic() - start < 60 * budget


def listed(trials: Sequence[Trial]) -> dict[str, Any]:
    """Returns Tune's arguments for a list of trials."""
    return {"param_space": {"params": tune.grid_search([trial.params for trial in trials])}}


def _name(task: Task, trial: Any) -> str:
    return _trial_of(task, trial.config).trial_id


def _trial_of(task: Task, config: dict[str, Any]) -> Trial:
    return make_trial(params_of(task.sweep, config))


def _lead(config: dict[str, Any], *, task: Task, share: Machine, address: str) -> None:
    """Runs one trial; Tune calls it for several trials in turn in one process."""
    _open_workers()
    if address:  # by which a trial's plan knows of a cluster, whatever this machine has
        os.environ["RAY_ADDRESS"] = address
    options = ray.data.DataContext.get_current().execution_options
    options.resource_limits = options.resource_limits.copy(cpu=share[0], gpu=share[1])
    told: list[StageProgress] = []

    def measured(state: StageProgress) -> None:
        told.append(state)
        _report(_epoch_of(state), state.uri)

    row = perform(task, _trial_of(task, config), measured)
    if task.sweep.scheduler == "asha" and not told:
        # ended by an earlier start of the sweep: others are measured against it again
        for epoch in row.get("epochs", []):
            _report(epoch, "")
    names = ("val_accuracy", "val_log_loss", "seconds")
    tune.report({name: row[name] for name in names if row.get(name) is not None})  # type: ignore[literal-required]


@cache
def _open_workers() -> AbstractContextManager[None]:
    """Opens warm workers for all trials that this process leads; they end with the process."""
    workers = warm_workers()
    workers.__enter__()
    return workers


def _epoch_of(state: StageProgress) -> dict[str, Any]:
    values = state.values
    return {
        "epoch": int(values["epoch"]),
        "train_loss": values["loss"],
        "val_score": values.get("val score"),
    }


def _report(epoch: dict[str, Any], folder: str) -> None:
    """Reports an epoch of the distributed training to trackers and to ASHA."""
    known = {name: value for name, value in epoch.items() if value is not None}
    tune.report({**known, "folder": folder})


class _Asha(ASHAScheduler):
    """ASHA that asks the training to stop by itself.

    Tune's own way ends the process that leads the trial and leaves its workers behind: their
    resources are freed late, and without a dashboard never (ray#54305, ray#65443; Ray 2.60), while
    the next trial waits for them.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(
            time_attr="epoch",
            metric="val_score",
            mode="max",
            max_t=MAX_EPOCHS,
            grace_period=task.sweep.grace_epochs,
            reduction_factor=task.sweep.reduction_factor,
        )
        self._told: set[str] = set()

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if trial.trial_id not in self._told and "val_score" in result:
            decision = super().on_trial_result(tune_controller, trial, result)
            if decision == TrialScheduler.STOP:
                self._told.add(trial.trial_id)
                if result["folder"]:
                    storage.write_text(storage.join(result["folder"], STOP_FILE), "")
        return str(TrialScheduler.CONTINUE)


class _Rows(tune.Callback):
    """A callback that passes on the row of every trial that ends, in whatever way."""

    def __init__(self, task: Task, ended: Ended) -> None:
        self._task = task
        self._ended = ended

    def __getstate__(self) -> dict[str, Any]:
        # Tune (2.60) pickles its callbacks, for a restore that a sweep has no need of: it goes on
        # from its rows. Whom to tell lives in this process alone.
        return {"_task": self._task}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        # one that is running still has been cut short by the time budget
        self._end(trial, "not_run", "")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        lines = str(trial.get_error() or "").strip().splitlines()
        self._end(trial, "failed", lines[-1] if lines else "the process that led the trial died")

    def _end(self, trial: Any, otherwise: Any, error: str) -> None:
        """Passes on the row that the trial left; if it has not ended there, one with the status
        `otherwise` and `error`."""
        ours = _trial_of(self._task, trial.config)
        row = read_row(self._task.folder, ours.trial_id) or empty_row(self._task, ours)
        if row["status"] in ("running", "not_run"):
            row = {**row, "status": otherwise, "error": error}
            write_row(self._task.folder, row)
        self._ended(row)
