"""The training loop of one worker: plain torch, no Ray."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gist_ray.train.config import TrainConfig
from gist_ray.train.optimizer import learning_rate, make_optimizer, set_train_mode
from gist_ray.train.precision import gradient_scaler
from gist_ray.train.state import Training
from gist_ray.train.task import Task

Terms = Mapping[str, float]
"""The terms of the loss of one step, by name."""


@dataclass(frozen=True)
class Worker:
    """One of the processes that train together."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


def start_training(task: Task, config: TrainConfig, worker: Worker) -> Training:
    """Loads the model of a task, wraps it and gives it an optimizer.

    Raises:
        UserError: what `Task.model` raises.
    """
    model = task.model(worker.device)
    forward = model
    if worker.world_size > 1:
        # Moving batch-norm statistics are only read after training, and rank 0's are exported; sent
        # round at each forward pass they would break the backward pass of micro-batches.
        forward = torch.nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)
    scaler = gradient_scaler(config.precision, worker.device)
    return Training(model, forward, make_optimizer(model, config), scaler)


def total_steps(task: Task, config: TrainConfig, world_size: int) -> int:
    """Returns the number of optimizer steps of a training."""
    return config.num_steps or (config.num_epochs or 0) * task.num_batches(world_size)


@dataclass(frozen=True)
class Epochs:
    """The settings of an epoch, besides the task and the training that it changes."""

    config: TrainConfig
    num_steps: int
    seed: int
    worker: Worker = field(default_factory=Worker)


def train_epoch(training: Training, task: Task, epochs: Epochs) -> list[Terms]:
    """Trains one epoch, or the rest of `num_steps`; returns the terms of each step."""
    worker = epochs.worker
    set_train_mode(training.model, freeze_batch_norm=epochs.config.freeze_batch_norm)
    torch.manual_seed(_epoch_seed(epochs, training.epoch))
    found = []
    for batch in task.batches(training.epoch, worker.rank, worker.world_size):
        for group in training.optimizer.param_groups:
            group["lr"] = learning_rate(training.step, epochs.num_steps, epochs.config)
        found.append(train_step(training, task, batch, clip_grad_norm=epochs.config.clip_grad_norm))
        training.step += 1
        if training.step >= epochs.num_steps:
            break
    training.epoch += 1
    return found


def _epoch_seed(epochs: Epochs, epoch: int) -> int:
    """Returns the seed of the model's own random operations, such as dropout."""
    entropy = [epochs.seed, epoch, epochs.worker.rank]
    return int(np.random.default_rng(entropy).integers(2**63))


def train_step(
    training: Training, task: Task, batch: Any, *, clip_grad_norm: float | None
) -> Terms:
    """Makes one optimizer step; returns the terms of its loss."""

    def backward(loss: Tensor) -> None:
        training.scaler.scale(loss).backward()

    training.optimizer.zero_grad(set_to_none=True)
    terms = task.loss(training.forward, batch, backward)
    training.scaler.unscale_(training.optimizer)
    if clip_grad_norm is not None:
        torch.nn.utils.clip_grad_norm_(training.model.parameters(), clip_grad_norm)
    training.scaler.step(training.optimizer)
    training.scaler.update()
    task.after_step(training.model)
    return {name: float(value.detach()) for name, value in terms.items()}
