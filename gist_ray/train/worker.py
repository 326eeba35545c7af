"""The work of each worker of a training: load, train, validate, store, export."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from gist_ray.store import storage
from gist_ray.train.job import (
    HISTORY_FILE,
    MODEL_FOLDER,
    STATE_FILE,
    STOP_FILE,
    Entry,
    TrainingStoppedError,
    TrainJob,
)
from gist_ray.train.loop import Epochs, Terms, Worker, start_training, total_steps, train_epoch
from gist_ray.train.state import Training, cpu_copy, load_state, save_state
from gist_ray.train.task import Task


def train_worker(
    job: TrainJob,
    worker: Worker,
    validated: Callable[[Mapping[str, Any]], None] = lambda entry: None,
) -> None:
    """Trains from the stored state, if there is one, to the end.

    validated: called by every worker after each validation, with the entry of the history in the
    worker of rank 0, which makes it, and with nothing in the others.

    Raises:
        UserError: what is wrong with the model, the training set or the stored state.
        TrainingStoppedError: after a validation, if there is a file STOP_FILE.
    """
    config = job.config
    torch.set_num_threads(config.cpus_per_worker)
    # The math kernel is faster than the fused ones for small towers on a CPU.
    torch.backends.cuda.enable_flash_sdp(torch.cuda.is_available())
    torch.backends.cuda.enable_mem_efficient_sdp(torch.cuda.is_available())
    torch.manual_seed(job.seed)
    task = job.make_task()
    training = start_training(task, config, worker)
    load_state(training, job.file(STATE_FILE))
    num_steps = total_steps(task, config, worker.world_size)
    epochs = Epochs(config, num_steps, job.seed, worker)

    found: list[Terms] = []
    stored = training.step  # a state is only stored where it was validated
    while training.step < num_steps:
        found += train_epoch(training, task, epochs)
        due = training.step - stored >= config.validate_every_steps
        if due or training.step >= num_steps:
            if worker.rank == 0:
                _validate(training, task, found, num_steps=num_steps)
                save_state(training, job.file(STATE_FILE))
                storage.write_json(job.file(HISTORY_FILE), training.history)
                validated(training.history[-1])
                if storage.exists(job.file(STOP_FILE)):
                    raise TrainingStoppedError()
            else:
                validated({})
            found.clear()
            stored = training.step
    if worker.rank == 0:
        if training.best_weights is not None:
            training.model.load_state_dict(training.best_weights)
        task.export(training.model, job.file(MODEL_FOLDER))
        storage.write_json(job.file(HISTORY_FILE), training.history)


def _validate(training: Training, task: Task, found: Sequence[Terms], *, num_steps: int) -> None:
    """Adds an entry to the history, and keeps the weights if they are the best so far."""
    training.model.eval()
    score = task.score(training.model)
    entry: Entry = {
        "step": training.step,
        "num_steps": num_steps,
        "epoch": training.epoch,
        **{name: sum(terms[name] for terms in found) / len(found) for name in found[0]},
        "score": score,
        **task.figures(training.model),
    }
    training.history.append(entry)
    if score is not None and score >= training.best_score:
        training.best_score, training.best_step = score, training.step
        training.best_weights = cpu_copy(training.model)
