"""Contrastive training on Ray Train: distributed over workers, resumed after any death.

The state of a training is stored by our own atomic write and not through Ray Train's checkpoints:
a worker that Ray restarts and a job that is submitted again then go on from the same file, on a
local disk as on S3, and a report costs no upload of its own.
"""

import os
import threading
from typing import Any

import pyarrow as pa
import pyarrow.fs
import ray.train
import ray.train.torch

from gist_ray.encoders.config import ClipConfig, ImageLimits
from gist_ray.errors import UserError, causes
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.job import (
    HISTORY_FILE,
    PAIRS_FILE,
    STATE_FILE,
    STOP_FILE,
    VAL_FILE,
    Job,
    TrainingStoppedError,
    check_pairs,
    seen_from_anywhere,
)
from gist_ray.run import cluster
from gist_ray.run.progress import Progress
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactWriter

POLL_S = 3.0

# Ray Train waits so long for its workers to fit, and then for ever again unless it is limited.
START_TIMEOUT_S = 60
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(START_TIMEOUT_S))


def train_clip(
    pairs: pa.Table,
    val: pa.Table,
    clip: ClipConfig,
    config: FinetuneConfig,
    seed: int,
    writer: ArtifactWriter,
    progress: Progress,
    *,
    limits: ImageLimits,
    random_weights: bool = False,
    half: bool = False,
) -> list[dict[str, float | None]]:
    """Train and leave an open_clip model folder at `writer.file("model")`.

    Args:
        pairs, val: PAIRS tables; for select_by="probe" the labels of both are used, for
            "retrieval" the captions of val, for "last" val may be empty.
        limits: a picture beyond them is an error of the user's.
        random_weights: start from random weights (pretraining).
        half: store the model in fp16.

    Returns:
        The history: one entry per validation with step, epoch, loss (of the first worker) and
        score (null for "last").

    Raises:
        UserError: if the pairs cannot be trained on, or the epoch not be chosen, as the config
            says; also what a worker found wrong with the model or an image.
        TrainingStoppedError: if a file STOP_FILE appeared beside the state.
    """
    check_pairs(pairs, val, config, writer.stage)
    storage.write_parquet(writer.file(PAIRS_FILE), pairs)
    storage.write_parquet(writer.file(VAL_FILE), val)
    job = Job(writer.uri, seen_from_anywhere(clip), config, seed, limits, random_weights, half)
    trainer = ray.train.torch.TorchTrainer(
        _run_worker,
        train_loop_config={"job": job},
        scaling_config=ray.train.ScalingConfig(
            num_workers=config.num_workers,
            use_gpu=config.gpus_per_worker > 0,
            resources_per_worker={"CPU": config.cpus_per_worker, "GPU": config.gpus_per_worker},
        ),
        run_config=ray.train.RunConfig(
            name="ray_train",
            storage_path=_storage_path(writer.uri),
            storage_filesystem=_arrow_filesystem(writer.uri),
            callbacks=[NotTriedAgain(), StopsWhenTold(writer.file(STOP_FILE))],
            failure_config=ray.train.FailureConfig(
                max_failures=config.max_failures,
                controller_failure_limit=int(cluster.PATIENCE_S / START_TIMEOUT_S),
            ),
        ),
    )
    # A finished or broken run's own bookkeeping must not decide what this one does.
    storage.delete(writer.file("ray_train"))
    storage.delete(writer.file(STOP_FILE))
    finished = threading.Event()
    follower = threading.Thread(target=_follow, args=(writer, progress, finished), daemon=True)
    follower.start()
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise _known_error(error, writer.stage, config) or error from error
    finally:
        finished.set()
        follower.join()
    storage.delete(writer.file("ray_train"))
    history: list[dict[str, float | None]] = storage.read_json(writer.file(HISTORY_FILE))
    storage.delete(writer.file(STATE_FILE))
    return history


class NotTriedAgain(ray.train.UserCallback):
    """Ends a training whose workers found what only its owner can mend.

    Ray Train starts workers anew whatever they raised; an error of its controller, in which this
    runs, is the end of the training (ray.train.v2, DefaultFailurePolicy, Ray 2.60).
    """

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        for error in worker_exceptions.values():
            for cause in causes(error):
                if isinstance(cause, UserError):
                    raise UserError(cause.problems)


class StopsWhenTold(ray.train.UserCallback):
    """Ends a training once there is a file `uri`, after the next validation."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def after_report(self, run_context: Any, metrics: Any, checkpoint: Any) -> None:
        if storage.exists(self.uri):
            raise TrainingStoppedError()


def _known_error(
    error: ray.train.TrainingFailedError, stage: str, config: FinetuneConfig
) -> UserError | TrainingStoppedError | None:
    """That it was stopped, or what its owner can mend: the first UserError of a worker, or a
    cluster without capacity."""
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
    # Imported here: Ray Train's controller unpickles this function too, and to load CLIP for that
    # costs it as much time as a small training.
    from gist_ray.finetune.worker import train_worker

    train_worker(loop_config["job"])


def _follow(writer: ArtifactWriter, progress: Progress, finished: threading.Event) -> None:
    """Say what the workers last stored, until the training ends."""
    said = len(_history(writer))  # by an earlier run
    meter = None
    is_last = False
    while not is_last:
        is_last = finished.wait(POLL_S)
        for entry in _history(writer)[said:]:
            said += 1
            step, values = entry["step"], {"epoch": entry["epoch"], "loss": entry["loss"]}
            if entry["score"] is not None:
                values["val score"] = entry["score"]
            # The time to the first entry is start-up too, so steps are timed from there.
            meter = meter or progress.rows(writer.stage, entry["num_steps"], "steps", step)
            meter.add(step - meter.done, values=values)


def _history(writer: ArtifactWriter) -> list[dict[str, Any]]:
    uri = writer.file(HISTORY_FILE)
    return storage.read_json(uri) if storage.exists(uri) else []


def _storage_path(uri: str) -> str:
    return uri if storage.is_local(uri) else storage.filesystem(uri)[1]


def _arrow_filesystem(uri: str) -> pyarrow.fs.FileSystem | None:
    """Ray's own S3 client does not read AWS_ENDPOINT_URL; ours does, and is handed over."""
    if storage.is_local(uri):
        return None
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(storage.filesystem(uri)[0]))
