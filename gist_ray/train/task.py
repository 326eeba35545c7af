"""A task: the part of a training that differs from task to task."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Backward = Callable[[Tensor], None]
"""Adds the gradient of a scalar loss to the parameters, scaled as the precision demands."""


class Task(Protocol):
    """A model, its batches, its loss and its score, as one worker of a training sees them.

    Each worker makes a task of its own (`TrainJob.make_task`). The trainer does the rest: the
    optimizer, the learning rate, DistributedDataParallel, the stored state and the history.
    """

    def model(self, device: torch.device) -> nn.Module:
        """Returns the model on `device`, with fp32 weights, and requires_grad off where a weight
        is not trained.

        It is called once, before every other method. torch's random generator has been seeded with
        the training's seed, for weights that begin at random.

        Raises:
            UserError: if the model cannot be loaded, or not be trained as the config says.
        """

    def num_batches(self, world_size: int) -> int:
        """Returns how many batches an epoch has, which is the same for every worker."""

    def batches(self, epoch: int, rank: int, world_size: int) -> Iterator[Any]:
        """Yields the batches of an epoch, of each the share of worker `rank`, on the device.

        The same arguments give the same batches: a training that goes on from a stored state then
        sees what it would have seen. epoch counts from 0. torch's random generator has been seeded
        by seed, epoch and rank.

        Raises:
            UserError: if a row of the training set cannot be read.
        """

    def loss(self, model: nn.Module, batch: Any, backward: Backward) -> dict[str, Tensor]:
        """Calls `backward` with the loss of a batch, and returns the terms to report.

        A task that cuts its batch into micro-batches calls `backward` once for each: gradients add
        up, and a loss over features of the whole batch decides itself which of them carry a
        gradient. `model` is what `model` returned, in DistributedDataParallel where there are
        several workers: all forward passes go through it, within `train.precision.autocast`.

        Returns:
            Scalars by name; "loss" is among them. The history has the mean of each.
        """

    def after_step(self, model: nn.Module) -> None:
        """Is called after each optimizer step, to keep weights in a range or a number format."""

    def score(self, model: nn.Module) -> float | None:
        """Returns how good the model is on val, larger is better; None if nothing is chosen by it.

        The weights of the best score are exported, of equals the last; without a score those of
        the last step. It is called in the worker of rank 0 while the others wait; the model is in
        eval mode.
        """

    def figures(self, model: nn.Module) -> dict[str, float]:
        """Returns further values for the history at each validation, such as a temperature."""
        return {}

    def export(self, model: nn.Module, folder: str) -> None:
        """Writes the model, with the weights that were chosen, into `folder` (local or a URI)."""
