"""Trains: in a warm worker, or on Ray Train where there are several workers or GPUs.

The state of a training is stored by our own atomic write and not through Ray Train's checkpoints:
a worker that is started anew and a job that is submitted again then go on from the same file, on a
local disk as on S3, and a report costs no upload of its own.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gist_ray.run.progress import Progress
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactWriter
from gist_ray.train.config import TrainConfig
from gist_ray.train.distributed import BOOKKEEPING, train_distributed
from gist_ray.train.job import HISTORY_FILE, STATE_FILE, STOP_FILE, Entry, TrainJob
from gist_ray.train.single import train_in_warm_worker

POLL_S = 3.0


def fits_warm_worker(config: TrainConfig) -> bool:
    """Returns whether a training runs in a warm worker, which is so for one process without a GPU.
    Other trainings run on Ray Train."""
    return config.num_workers == 1 and config.gpus_per_worker == 0


def where_trained(config: TrainConfig) -> str:
    """Returns the place where a training runs, for the plan."""
    return "warm worker" if fits_warm_worker(config) else "Ray Train"


def train(job: TrainJob, writer: ArtifactWriter, progress: Progress) -> list[Entry]:
    """Trains and leaves a model in the folder MODEL_FOLDER of the artifact; returns the history.

    A training that was stored goes on. `progress` is told of each validation within POLL_S.

    Raises:
        UserError: what a worker found wrong with the model or the training set, which is not tried
            again, or a cluster without capacity.
        TrainingStoppedError: if a file STOP_FILE appeared beside the state.
    """
    # A finished or broken run's own bookkeeping must not decide what this one does.
    storage.delete(writer.file(BOOKKEEPING))
    storage.delete(writer.file(STOP_FILE))
    with _followed(writer, progress):
        if fits_warm_worker(job.config):
            train_in_warm_worker(job)
        else:
            train_distributed(job, writer.stage)
    storage.delete(writer.file(BOOKKEEPING))
    history: list[Entry] = storage.read_json(writer.file(HISTORY_FILE))
    storage.delete(writer.file(STATE_FILE))
    return history


@contextmanager
def _followed(writer: ArtifactWriter, progress: Progress) -> Iterator[None]:
    finished = threading.Event()
    follower = threading.Thread(target=_follow, args=(writer, progress, finished), daemon=True)
    follower.start()
    try:
        yield
    finally:
        finished.set()
        follower.join()


def _follow(writer: ArtifactWriter, progress: Progress, finished: threading.Event) -> None:
    """Adds the last stored validation to `progress` until the training ends."""
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
            meter = meter or progress.rows(writer.stage, entry["num_steps"], "steps", already=step)
            meter.add(step - meter.done, values=values)


def _history(writer: ArtifactWriter) -> list[dict[str, Any]]:
    uri = writer.file(HISTORY_FILE)
    return storage.read_json(uri) if storage.exists(uri) else []
