"""Optimizer, learning rate and which weights move."""

import math
from typing import Any

import torch
from torch import nn

from gist_ray.finetune.config import FinetuneConfig

MAX_LOGIT_SCALE = math.log(100)


def freeze(model: Any, config: FinetuneConfig) -> None:
    """Lock what the config leaves out of training. `model` is an open_clip model."""
    image = [parameter for name, parameter in model.named_parameters() if name.startswith("visual.")]
    text = [parameter for name, parameter in model.named_parameters() if not name.startswith("visual.")]
    if config.train_towers == "text":
        for parameter in image:
            parameter.requires_grad_(False)
    if config.train_towers == "image":
        for parameter in text:
            parameter.requires_grad_(False)
    if config.unlocked_image_groups is not None:
        model.lock_image_tower(
            unlocked_groups=config.unlocked_image_groups, freeze_bn_stats=config.freeze_batch_norm
        )


def set_train_mode(model: nn.Module, freeze_batch_norm: bool) -> None:
    model.train()
    if freeze_batch_norm:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def make_optimizer(model: nn.Module, config: FinetuneConfig) -> torch.optim.Optimizer:
    """AdamW with decay on matrices only (open_clip's rule, and none on embeddings), or plain Adam
    with L2 on every parameter (GIST's contrastive_training_clip.py)."""
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


def learning_rate(step: int, num_steps: int, config: FinetuneConfig) -> float:
    """Rate of step 0 .. num_steps - 1: linear warm-up, then half a cosine to 0 (FLYP, open_clip)."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - config.warmup_steps) / max(1, num_steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def round_to_fp16(model: nn.Module) -> None:
    """What GIST's reference does after each step: matrices go through fp16 and no fp32 copy is
    kept (openai/CLIP#83). Norms, biases, embeddings and logit_scale stay fp32 there too."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "embed" not in name:
            parameter.copy_(parameter.half().float())


@torch.no_grad()
def interpolate(tuned: dict[str, Any], before: dict[str, Any], weight: float) -> dict[str, Any]:
    """WiSE-FT (Wortsman et al. 2022, eq. 1): weight * tuned + (1 - weight) * before, for every
    floating-point entry of the two state dicts."""
    return {
        name: torch.lerp(before[name], value, weight) if value.is_floating_point() else value
        for name, value in tuned.items()
    }
