from dataclasses import replace
from typing import Any

import pytest
import torch

from gist_ray.train.config import TrainConfig
from gist_ray.train.loop import (
    Epochs,
    Worker,
    start_training,
    total_steps,
    train_epoch,
    train_step,
)
from gist_ray.train.task import Backward
from tests.train.toy import DIM, Toy, toy_config


def test_steps_and_epochs_are_counted() -> None:
    config = toy_config(num_steps=3)
    task, epochs = Toy(config), Epochs(config, num_steps=3, seed=0)
    training = start_training(task, config, Worker())
    assert len(train_epoch(training, task, epochs)) == 2
    assert (training.epoch, training.step) == (1, 2)
    # the last epoch is cut short
    assert len(train_epoch(training, task, epochs)) == 1
    assert (training.epoch, training.step) == (2, 3)
    assert total_steps(task, config, 1) == 3
    assert total_steps(task, replace(config, num_steps=None, num_epochs=5), 1) == 10


def test_training_fits_the_line() -> None:
    config = toy_config(num_steps=200)
    task, epochs = Toy(config), Epochs(config, num_steps=200, seed=0)
    training = start_training(task, config, Worker())
    rows = torch.randn(64, DIM, generator=torch.Generator().manual_seed(1))

    def error() -> float:
        with torch.no_grad():
            found = training.model.eval()(rows)[:, 0]
        return float((found - rows.sum(dim=1)).square().mean())

    before, terms = error(), []
    while training.step < 200:
        terms += train_epoch(training, task, epochs)
    assert error() < 0.2 * before
    assert terms[0]["twice"] == pytest.approx(2 * terms[0]["loss"])


def gradients_of(task: Toy, **options: Any) -> tuple[list[torch.Tensor], Any]:
    torch.manual_seed(0)
    config = toy_config(**options)
    training = start_training(task, config, Worker())
    training.model.eval()
    batch = torch.randn(4, DIM, generator=torch.Generator().manual_seed(1))
    train_step(training, task, batch, clip_grad_norm=config.clip_grad_norm)
    return [parameter.grad for parameter in training.model.parameters()], training


def test_the_gradient_is_cut_to_its_largest_norm() -> None:
    gradients, _ = gradients_of(Toy(toy_config()), clip_grad_norm=1e-3)
    assert float(torch.cat([g.flatten() for g in gradients]).norm()) == pytest.approx(
        1e-3, rel=1e-3
    )


class InHalves(Toy):
    def loss(self, model: Any, batch: Any, backward: Backward) -> dict[str, torch.Tensor]:
        terms = {}
        for half in batch.chunk(2):
            terms = super().loss(model, half, lambda loss: backward(loss / 2))
        return terms


def test_gradients_of_several_backward_passes_add_up() -> None:
    config = toy_config()
    wanted, _ = gradients_of(Toy(config), clip_grad_norm=None)
    found, _ = gradients_of(InHalves(config), clip_grad_norm=None)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_the_scaler_works_in_fp16_and_the_gradient_is_the_same() -> None:
    task = Toy(toy_config())
    wanted, idle = gradients_of(task)
    found, busy = gradients_of(task, precision="amp_fp16")
    assert (idle.scaler.is_enabled(), busy.scaler.is_enabled()) == (False, True)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


class Clamped(Toy):
    def after_step(self, model: Any) -> None:
        with torch.no_grad():
            model[1].bias.fill_(7)


def test_the_task_has_the_last_word_on_the_weights() -> None:
    config = toy_config()
    _, training = gradients_of(Clamped(config))
    assert training.model[1].bias.tolist() == [7]


def test_a_config_of_steps_counts_no_batches() -> None:
    assert total_steps(None, TrainConfig(num_steps=7), 1) == 7  # type: ignore[arg-type]
