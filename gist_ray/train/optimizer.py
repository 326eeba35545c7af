"""Optimizer, learning rate, and the choice of modules in train mode."""

import math
from typing import Any

import torch
from torch import nn

from gist_ray.train.config import TrainConfig


def set_train_mode(model: nn.Module, *, freeze_batch_norm: bool) -> None:
    """Puts a model in train mode, except for modules whose parameters are all frozen: their dropout
    and batch-norm statistics rest too."""
    model.train()
    for module in model.modules():
        is_batch_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        own = list(module.parameters())
        if (is_batch_norm and freeze_batch_norm) or (
            own and not any(parameter.requires_grad for parameter in own)
        ):
            module.eval()


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Returns AdamW with decay on matrices only (open_clip's rule, and none on embeddings), or
    plain Adam with L2 on every parameter (GIST's contrastive_training_clip.py)."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    options: dict[str, Any] = {
        "lr": config.learning_rate,
        "betas": config.betas,
        "eps": config.eps,
    }
    if config.optimizer == "adam":
        return torch.optim.Adam([p for _, p in named], weight_decay=config.weight_decay, **options)
    decayed = [p for name, p in named if p.ndim > 1 and "embed" not in name]
    others = [p for name, p in named if not (p.ndim > 1 and "embed" not in name)]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], **options)


def learning_rate(step: int, num_steps: int, config: TrainConfig) -> float:
    """Returns the rate of step 0 .. num_steps - 1: linear warm-up, half a cosine to 0 (FLYP,
    open_clip)."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - config.warmup_steps) / max(1, num_steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
