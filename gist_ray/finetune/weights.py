"""Rules for the weights of a CLIP: which are trained, their range and number format, WiSE-FT."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from gist_ray.errors import UserError
from gist_ray.finetune.config import FinetuneConfig

MAX_LOGIT_SCALE = math.log(100)

HALVED_MODULES = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.MultiheadAttention)
HALVED_PROJECTIONS = ("text_projection", "proj")


def freeze(model: Any, config: FinetuneConfig) -> None:
    """Locks what the config leaves out of training. `model` is an open_clip model."""
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


@torch.no_grad()
def round_to_fp16(model: nn.Module) -> None:
    """Rounds weights to fp16, as GIST's reference does after each step: those that openai/CLIP's
    convert_weights (clip/model.py) keeps in fp16 go through fp16, and no fp32 copy is kept
    (openai/CLIP#83). Norms, embeddings and logit_scale stay fp32 there too."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, HALVED_MODULES) or name in HALVED_PROJECTIONS:
                parameter.copy_(parameter.half())


@torch.no_grad()
def clamp_logit_scale(model: Any) -> None:
    """Keeps logit_scale in [0, ln 100], as CLIP was trained."""
    model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)


@torch.no_grad()
def interpolate(
    tuned: dict[str, Tensor], before: dict[str, Tensor], weight: float
) -> dict[str, Tensor]:
    """Returns weight * tuned + (1 - weight) * before, for every floating-point entry of the two
    state dicts; others are those of `tuned` (WiSE-FT, Wortsman et al. 2022, eq. 1)."""
    return {
        name: torch.lerp(before[name], value, weight) if value.is_floating_point() else value
        for name, value in tuned.items()
    }
