"""A training on Ray Train: several workers, or GPUs."""

import os
from typing import Any

import pyarrow.fs
import ray.train
import ray.train.torch

from gist_ray.errors import UserError, causes
from gist_ray.run import cluster
from gist_ray.store import storage
from gist_ray.train.config import TrainConfig
from gist_ray.train.job import TrainingStoppedError, TrainJob

BOOKKEEPING = "ray_train"
"""Ray Train's own folder, inside the training's."""

# Ray Train waits so long for its workers to fit, and then for ever again unless it is limited.
START_TIMEOUT_S = 60
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(START_TIMEOUT_S))


def train_distributed(job: TrainJob, stage: str) -> None:
    """Trains on Ray Train, as `trainer.train` says. stage: its name, for messages."""
    config = job.config
    trainer = ray.train.torch.TorchTrainer(
        _run_worker,
        train_loop_config={"job": job},
        scaling_config=ray.train.ScalingConfig(
            num_workers=config.num_workers,
            use_gpu=config.gpus_per_worker > 0,
            resources_per_worker={"CPU": config.cpus_per_worker, "GPU": config.gpus_per_worker},
        ),
        run_config=ray.train.RunConfig(
            name=BOOKKEEPING,
            storage_path=_storage_path(job.folder),
            storage_filesystem=_arrow_filesystem(job.folder),
            callbacks=[NotTriedAgain()],
            failure_config=ray.train.FailureConfig(
                max_failures=config.max_failures,
                controller_failure_limit=int(cluster.PATIENCE_S / START_TIMEOUT_S),
            ),
        ),
    )
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise _known_error(error, stage, config) or error from error


class NotTriedAgain(ray.train.UserCallback):
    """The error that ends a training after a stop, or after an error of a worker that only the user
    can fix.

    Ray Train starts workers anew whatever they raised; an error of its controller, in which this
    runs, is the end of the training (ray.train.v2, DefaultFailurePolicy, Ray 2.60).
    """

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        for error in worker_exceptions.values():
            for cause in causes(error):
                if isinstance(cause, TrainingStoppedError):
                    raise TrainingStoppedError()
                if isinstance(cause, UserError):
                    raise UserError(cause.problems)


def _known_error(
    error: ray.train.TrainingFailedError, stage: str, config: TrainConfig
) -> UserError | TrainingStoppedError | None:
    """Returns the error of a stopped training, or the problem that the user can fix: the first
    UserError of a worker, or a cluster without capacity. None for any other error."""
    for cause in causes(error):
        if isinstance(cause, UserError | TrainingStoppedError):
            return cause
    failure = getattr(error, "controller_failure", None)
    if type(failure).__name__ == "WorkerGroupStartupTimeoutError":
        return cluster.no_capacity(
            f"{stage}, {config.num_workers} workers with {config.cpus_per_worker} CPUs and "
            f"{config.gpus_per_worker:g} GPUs each"
        )
    return None


def _run_worker(loop_config: dict[str, Any]) -> None:
    # Imported here: Ray Train's controller unpickles this function too, and what a task needs costs
    # it as much time to load as a small training.
    from gist_ray.train.loop import Worker
    from gist_ray.train.worker import train_worker

    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    worker = Worker(rank, world_size, ray.train.torch.get_device())
    train_worker(loop_config["job"], worker, ray.train.report)


def _storage_path(uri: str) -> str:
    return uri if storage.is_local(uri) else storage.filesystem(uri)[1]


def _arrow_filesystem(uri: str) -> pyarrow.fs.FileSystem | None:
    """Returns our own S3 client, which reads AWS_ENDPOINT_URL where Ray's does not."""
    if storage.is_local(uri):
        return None
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(storage.filesystem(uri)[0]))
