"""Trials in TensorBoard, MLflow or Weights & Biases, by Ray Tune's own callbacks."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.logger.tensorboardx import TBXLoggerCallback

from gist_ray.store import storage
from gist_ray.sweep.trials import Task

NEEDS = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}


def tracker_problems(task: Task) -> list[str]:
    """Returns what keeps the sweep's trackers from working: missing packages or addresses."""
    wanted = task.sweep.trackers
    problems = [
        f"sweep.trackers={tracker}: needs the package {NEEDS[tracker]}: "
        f"pip install 'gist-ray[{tracker}]'."
        for tracker in wanted
        if find_spec(NEEDS[tracker]) is None
    ]
    is_remote = not storage.is_local(task.folder)
    for tracker, variable in (("mlflow", "MLFLOW_TRACKING_URI"), ("wandb", "WANDB_DIR")):
        if tracker in wanted and is_remote and variable not in os.environ:
            problems.append(
                f"sweep.trackers={tracker}: cannot write to {task.folder}. Set {variable} in the "
                "environment."
            )
    return problems


def tracker_callbacks(task: Task) -> list[tune.Callback]:
    """Returns Tune callbacks for the sweep's trackers. Their addresses come from the usual
    environment variables; without them they write to the sweep's folder, offline."""
    name = task.base["name"]
    callbacks: list[tune.Callback] = []
    if "tensorboard" in task.sweep.trackers:
        callbacks += [TBXLoggerCallback(), _KeepsEvents(storage.join(task.folder, "tensorboard"))]
    if "mlflow" in task.sweep.trackers:
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        os.makedirs(storage.absolute(task.folder), exist_ok=True)
        local = f"sqlite:///{storage.absolute(task.folder)}/mlflow.db"
        uri = os.environ.get("MLFLOW_TRACKING_URI", local)
        callbacks.append(MLflowLoggerCallback(tracking_uri=uri, experiment_name=name))
    if "wandb" in task.sweep.trackers:
        from ray.air.integrations.wandb import WandbLoggerCallback

        if "WANDB_API_KEY" not in os.environ:
            os.environ.setdefault("WANDB_MODE", "offline")
        folder = os.environ.get("WANDB_DIR", storage.absolute(task.folder))
        os.makedirs(folder, exist_ok=True)
        # the mode is said too: its process has the environment of Ray's start
        mode = os.environ.get("WANDB_MODE", "online")
        callbacks.append(WandbLoggerCallback(project=name, dir=folder, mode=mode))
    return callbacks


class _KeepsEvents(tune.Callback):
    """A callback that copies a trial's TensorBoard files to the sweep's folder, S3 too, once it
    ends."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        for file in Path(trial.local_path).glob("events.out.tfevents.*"):
            storage.put_file(str(file), storage.join(self._folder, str(trial), file.name))

    on_trial_error = on_trial_complete
