"""Optimizer, learning rate and which weights move."""

import math
from typing import Any

import torch
from torch import nn

from gist_ray.errors import UserError
from gist_ray.finetune.config import FinetuneConfig

MAX_LOGIT_SCALE = math.log(100)

HALVED_MODULES = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.MultiheadAttention)
HALVED_PROJECTIONS = ("text_projection", "proj")


def freeze(model: Any, config: FinetuneConfig) -> None:
    """Lock what the config leaves out of training. `model` is an open_clip model."""
    if config.unlocked_image_groups is not None:
        try:
            # batch-norm statistics are `set_train_mode`'s: open_clip would swap the modules, and
            # with them the names in the state dict
            model.lock_image_tower(unlocked_groups=config.unlocked_image_groups)
        except (AssertionError, RuntimeError) as error:
            raise UserError(
                f"finetune.unlocked_image_groups={config.unlocked_image_groups}: this image tower "
                f"({type(model.visual).__name__}) cannot be trained in part ({error}). Leave it "
                "null, or set finetune.train_towers=text."
            ) from error
    for name, parameter in model.named_parameters():
        tower = "image" if name.startswith("visual.") else "text"
        if config.train_towers not in ("both", tower) and name != "logit_scale":
            parameter.requires_grad_(False)


def set_train_mode(model: nn.Module, config: FinetuneConfig) -> None:
    """Train mode, save for what is frozen: its dropout and batch-norm statistics rest too."""
    model.train()
    for module in model.modules():
        is_batch_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        own = list(module.parameters())
        if (is_batch_norm and config.freeze_batch_norm) or (
            own and not any(parameter.requires_grad for parameter in own)
        ):
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
    """Rate of step 0 .. num_steps - 1: linear warm-up, half a cosine to 0 (FLYP, open_clip)."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - config.warmup_steps) / max(1, num_steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def round_to_fp16(model: nn.Module) -> None:
    """What GIST's reference does after each step: the weights that openai/CLIP's convert_weights
    (clip/model.py) keeps in fp16 go through fp16, and no fp32 copy is kept (openai/CLIP#83). Norms,
    embeddings and logit_scale stay fp32 there too."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, HALVED_MODULES) or name in HALVED_PROJECTIONS:
                parameter.copy_(parameter.half())


@torch.no_grad()
def interpolate(tuned: dict[str, Any], before: dict[str, Any], weight: float) -> dict[str, Any]:
    """WiSE-FT (Wortsman et al. 2022, eq. 1): weight * tuned + (1 - weight) * before, for every
    floating-point entry of the two state dicts."""
    return {
        name: torch.lerp(before[name], value, weight) if value.is_floating_point() else value
        for name, value in tuned.items()
    }
