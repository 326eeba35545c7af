"""A training of one worker without a GPU, in a warm worker that trains one model after another."""

import gc
import traceback

from tenacity import Retrying, retry_if_not_exception_type, stop_after_attempt

from gist_ray.errors import UserError
from gist_ray.run.warm import call_warm
from gist_ray.train.job import TrainingStoppedError, TrainJob


def train_in_warm_worker(job: TrainJob) -> None:
    """Trains in a warm worker, as `trainer.train` says.

    After any error but UserError and TrainingStoppedError it resumes from the last stored state, at
    most `max_failures` times; after the death of the process, in a new one.
    """
    for attempt in Retrying(
        stop=stop_after_attempt(job.config.max_failures + 1),
        retry=retry_if_not_exception_type((UserError, TrainingStoppedError)),
        reraise=True,
    ):
        with attempt:
            call_warm(_train, job, cpus=job.config.cpus_per_worker, max_deaths=0)


def _train(job: TrainJob) -> None:
    # Imported here: the driver needs neither torch nor what a task trains.
    from gist_ray.train.loop import Worker
    from gist_ray.train.worker import train_worker

    try:
        train_worker(job, Worker())
    except Exception as error:
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        # A traceback that something has kept holds the frames it came through, and these the model
        # and the processes that read pictures, until Python happens to collect them. Another
        # training runs here next.
        gc.collect()
