import math

import pytest
import torch

from gist_ray.train.config import TrainConfig
from gist_ray.train.optimizer import learning_rate, make_optimizer, set_train_mode


class Net(torch.nn.Module):
    """A matrix, its bias, a norm, an embedding and a scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.token_embedding = torch.nn.Embedding(3, 4)
        self.dropout = torch.nn.Dropout(0.5)
        self.scale = torch.nn.Parameter(torch.tensor(1.0))


def test_the_rate_rises_falls_and_ends_near_zero() -> None:
    config = TrainConfig(num_steps=12, learning_rate=2.0, warmup_steps=4)
    rates = [learning_rate(step, 12, config) for step in range(12)]
    assert rates[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    assert rates[8] == pytest.approx(1.0)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[11] == pytest.approx(1 + math.cos(math.pi * 7 / 8))
    constant = TrainConfig(num_steps=12, learning_rate=2.0, warmup_steps=0, schedule="constant")
    assert {learning_rate(step, 12, constant) for step in range(12)} == {2.0}


def test_adamw_decays_matrices_only_and_adam_everything() -> None:
    net = Net()
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    config = TrainConfig(num_steps=1, weight_decay=0.2)
    decayed, others = make_optimizer(net, config).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.2, 0.0)
    of = [{names[id(p)] for p in group["params"]} for group in (decayed, others)]
    assert of[0] == {"linear.weight"}
    assert of[0] | of[1] == set(names.values())
    adam = TrainConfig(num_steps=1, optimizer="adam")
    (group,) = make_optimizer(net, adam).param_groups
    assert len(group["params"]) == len(names)


def test_what_is_frozen_is_not_optimized() -> None:
    net = Net()
    net.linear.requires_grad_(False)
    (group,) = make_optimizer(net, TrainConfig(num_steps=1)).param_groups
    assert not {id(p) for p in group["params"]} & {id(p) for p in net.linear.parameters()}


@pytest.mark.parametrize("freeze_batch_norm", [True, False])
def test_frozen_modules_rest_and_others_train(freeze_batch_norm: bool) -> None:
    net = Net()
    net.linear.requires_grad_(False)
    set_train_mode(net.eval(), freeze_batch_norm=freeze_batch_norm)
    assert net.training
    assert net.dropout.training
    assert net.token_embedding.training
    assert not net.linear.training
    assert net.norm.training == (not freeze_batch_norm)
    net.norm.requires_grad_(False)
    set_train_mode(net, freeze_batch_norm=False)
    assert not net.norm.training
