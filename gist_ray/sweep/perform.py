"""One trial from its params to its row, in a process of its own on any machine."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from gist_ray.errors import UserError
from gist_ray.run.flow import TooManyFailedRowsError, run_flow
from gist_ray.run.heartbeat import Heartbeat
from gist_ray.run.progress import Progress, StageProgress
from gist_ray.run.stage import Done
from gist_ray.store import storage
from gist_ray.study.graph import shown_features
from gist_ray.sweep.capacity import side_by_side
from gist_ray.sweep.tables import Row, read_row, write_row
from gist_ray.sweep.trials import Planned, Task, Trial, plan_trial
from gist_ray.train.job import HISTORY_FILE, TrainingStoppedError

Measured = Callable[[StageProgress], None]
"""Called with the progress of a training after each validation."""

ENDED = ("ok", "stopped")
"""Statuses of rows that stay valid when the sweep is started again."""


def perform(task: Task, trial: Trial, measured: Measured) -> Row:
    """Makes the missing stages of the trial, writes its row and returns it. An error is in the row
    and is not raised."""
    start = time.monotonic()
    row = empty_row(task, trial)
    progress = Progress(measured=measured)
    try:
        planned = plan_trial(task, trial)
        if stored := stored_row(task, planned):
            return stored
        row = {**row, **_of_plan(planned), "status": "running", "begun": time.time()}
        write_row(task.folder, row)
        done = _run(task, planned, progress)
        row = {**row, **_of_results(task, planned, done), "status": "ok"}
    except TrainingStoppedError:
        row = {**row, **_of_stopped(planned, task), "status": "stopped"}
    except UserError as error:
        row = {**row, "status": "failed", "error": " ".join(error.problems)}
    except TooManyFailedRowsError as error:
        row = {**row, "status": "failed", "error": str(error)}
    except Exception as error:
        row = {**row, "status": "failed", "error": f"{type(error).__name__}: {error}"}
    row["seconds"] = round(time.monotonic() - start, 3)
    write_row(task.folder, row)
    return row


def stored_row(task: Task, planned: Planned) -> Row | None:
    """Returns the row that an earlier start left, if the trial has ended and is unchanged; else
    None."""
    row = read_row(task.folder, planned.trial.trial_id)
    is_same = row is not None and row.get("fingerprint") == planned.fingerprint
    return row if row is not None and is_same and row["status"] in ENDED else None


def empty_row(task: Task, trial: Trial) -> Row:
    """Returns the row of a trial that has not run."""
    study = task.base["study"]
    shots = trial.params.get("study.shots", study["shots"][0])
    return {
        "trial_id": trial.trial_id,
        "status": "not_run",
        "error": "",
        "params": trial.params,
        "seed": trial.params.get("study.seeds", study["seeds"][0]),
        "shots": shots if isinstance(shots, int) else None,
    }


def _of_plan(planned: Planned) -> Row:
    artifacts = [stage.fingerprint for stage in planned.stages]
    return {"fingerprint": planned.fingerprint, "artifacts": artifacts}


def _run(task: Task, planned: Planned, progress: Progress) -> Mapping[str, Done]:
    num_cpus, num_gpus = side_by_side(planned.config)
    with Heartbeat(progress) as heartbeat:
        return run_flow(
            planned.stages,
            task.store,
            progress,
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            max_failed_fraction=planned.config.max_failed_fraction,
            leases=heartbeat,
        )


def _of_results(task: Task, planned: Planned, done: Mapping[str, Done]) -> Row:
    made: Counter[str] = Counter()
    stored: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for one in done.values():
        (stored if one.was_stored else made)[one.stage.group] += 1
        if not one.was_stored:
            seconds[one.stage.group] += one.artifact.info["seconds"]
    trained = [one.artifact for one in done.values() if one.stage.kind == "finetuned"]
    epochs = epochs_of(trained[-1].info["history"]) if trained else []
    row: Row = {
        "made": dict(made),
        "stored": dict(stored),
        "seconds_by_group": {name: round(value, 3) for name, value in seconds.items()},
        "epochs": epochs,
        "num_epochs": epochs[-1]["epoch"] if epochs else 0,
        **_of_val(task, planned, done),
    }
    if task.sweep.measure == "test":
        row["test"] = [
            metric
            for stage in planned.graph.metrics
            for metric in done[stage.name].artifact.read().to_pylist()
            if metric["split"] != "val"
        ]
    return row


def _of_stopped(planned: Planned, task: Task) -> Row:
    """Returns the epochs of the stopped training, and deletes its weights."""
    [folder] = [
        task.store.location(stage.kind, stage.fingerprint)
        for stage in planned.stages
        if stage.kind == "finetuned" and not task.store.find(stage.kind, stage.fingerprint)
    ][:1]
    epochs = epochs_of(storage.read_json(storage.join(folder, HISTORY_FILE)))
    storage.delete(folder)
    return {"epochs": epochs, "num_epochs": epochs[-1]["epoch"]}


def epochs_of(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns EPOCHS rows of a training's history, without trial_id."""
    return [
        {"epoch": entry["epoch"], "train_loss": entry["loss"], "val_score": entry["score"]}
        for entry in history
    ]


def _of_val(task: Task, planned: Planned, done: Mapping[str, Done]) -> Row:
    """Returns the val measures of the sweep's method, on the fine-tuned model or else on the
    frozen one. Raises UserError if the sweep measures val and has no labelled val images."""
    config = planned.config
    [shots], [seed] = planned.graph.num_shots, config.study.seeds
    result = planned.graph.result(shown_features(config), task.sweep.method, shots=shots, seed=seed)
    found = done[result.fit.name].artifact.info.get("val", {})
    if not found and task.sweep.measure == "val":
        raise UserError(
            "measuring on val needs labelled images of the val split, and there are none. Give the "
            "data set a val split."
        )
    return {"val_accuracy": found.get("accuracy"), "val_log_loss": found.get("log_loss")}
