"""The training loop of one worker: plain torch, no Ray."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import open_clip
import torch
from torch import Tensor

from gist_ray.errors import UserError
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.loss import make_loss
from gist_ray.finetune.optimizer import (
    MAX_LOGIT_SCALE,
    freeze,
    learning_rate,
    make_optimizer,
    round_to_fp16,
    set_train_mode,
)
from gist_ray.finetune.pairs import Batch, EpochBatches, PairLoader

TRAINABLE = (open_clip.CLIP, open_clip.CustomTextCLIP)


@dataclass
class Training:
    """All that changes while a worker trains, and all that a checkpoint has to hold."""

    model: Any
    """The open_clip model itself."""
    forward: Any
    """The model, wrapped in DistributedDataParallel where there are several workers."""
    optimizer: torch.optim.Optimizer
    scaler: Any
    epoch: int = 0
    step: int = 0
    best_score: float = float("-inf")
    best_step: int = 0
    best_weights: dict[str, Tensor] | None = None
    history: list[dict[str, float | None]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values only, so that it loads with weights_only=True.

        It is taken between epochs, and every epoch seeds the random generators anew on each
        worker, so `epoch` is their state.
        """
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "best_weights": self.best_weights,
            "history": self.history,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.best_score, self.best_step = state["best_score"], state["best_step"]
        self.best_weights = state["best_weights"]
        self.history = state["history"]


def start_training(model: Any, config: FinetuneConfig, world_size: int) -> Training:
    """Lock, wrap and give an optimizer to a model that is on its device.

    Raises:
        UserError: if the model is not trained by a contrast of pairs (SigLIP, CoCa), or cannot be
            locked as the config says.
    """
    if getattr(model, "logit_bias", None) is not None or not isinstance(model, TRAINABLE):
        raise UserError(
            f"clip.model: {type(model).__name__} with its own kind of loss (SigLIP, CoCa) cannot "
            "be fine-tuned here, only embedded and matched. Take a CLIP for clip.model."
        )
    freeze(model, config)
    if config.grad_checkpointing:
        model.set_grad_checkpointing()
    device = next(model.parameters()).device.type
    if device == "cpu":
        # Convolutions are faster so on a CPU; to a transformer it makes no difference.
        model.visual.to(memory_format=torch.channels_last)
    forward = model
    if world_size > 1:
        # Moving batch-norm statistics are only read after training, and rank 0's are exported; sent
        # round at each forward pass they would break the backward pass of micro-batches.
        forward = torch.nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)
    scaler = torch.amp.GradScaler(device, enabled=config.precision == "amp_fp16")
    return Training(model, forward, make_optimizer(model, config), scaler)


def total_steps(config: FinetuneConfig, num_pairs: int, world_size: int) -> int:
    per_epoch = len(EpochBatches(num_pairs, config.batch_size, 0, 0, world_size))
    return config.num_steps or (config.num_epochs or 0) * per_epoch


def train_epoch(
    training: Training, loader: PairLoader, config: FinetuneConfig, num_steps: int
) -> list[float]:
    """One epoch, or what is left of `num_steps`; returns the loss of each step."""
    set_train_mode(training.model, config)
    batches = loader.batches
    device = next(training.model.parameters()).device
    loss_of = make_loss(config.loss, batches.rank, batches.world_size)
    batches.epoch = training.epoch
    torch.manual_seed(_epoch_seed(batches))
    losses = []
    for batch in loader.on(device):
        for group in training.optimizer.param_groups:
            group["lr"] = learning_rate(training.step, num_steps, config)
        losses.append(train_step(training, batch, config, loss_of))
        training.step += 1
        if training.step >= num_steps:
            break
    training.epoch += 1
    return losses


def _epoch_seed(batches: EpochBatches) -> int:
    """For what is random inside a model, such as dropout."""
    entropy = [batches.seed, batches.epoch, batches.rank]
    return int(np.random.default_rng(entropy).integers(2**63))


def train_step(
    training: Training, batch: Batch, config: FinetuneConfig, loss_of: Callable[..., Tensor]
) -> float:
    """One optimizer step; returns the loss."""
    training.optimizer.zero_grad(set_to_none=True)
    if config.micro_batches == 1:
        loss = _whole_batch(training, batch, config, loss_of)
    else:
        loss = _in_micro_batches(training, batch, config, loss_of)
    training.scaler.unscale_(training.optimizer)
    if config.clip_grad_norm is not None:
        torch.nn.utils.clip_grad_norm_(training.model.parameters(), config.clip_grad_norm)
    training.scaler.step(training.optimizer)
    training.scaler.update()
    if config.precision == "fp16_roundtrip":
        round_to_fp16(training.model)
    if config.clamp_logit_scale:
        with torch.no_grad():
            training.model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
    return loss


def _whole_batch(
    training: Training, batch: Batch, config: FinetuneConfig, loss_of: Callable[..., Tensor]
) -> float:
    images, tokens, labels = batch
    image_features, text_features, scale = _encode(training, images, tokens, config)
    loss = loss_of(image_features, text_features, scale, labels)
    training.scaler.scale(loss).backward()
    return float(loss.detach())


def _in_micro_batches(
    training: Training, batch: Batch, config: FinetuneConfig, loss_of: Callable[..., Tensor]
) -> float:
    """The gradient of the whole batch's loss with the activations of one part in memory at a time
    (open_clip's --accum-freq, src/open_clip_train/train.py).

    First all features without gradient; then each part again with gradient, put in its place
    among the others. The logit_scale takes part in one of the passes only, where open_clip counts
    it in each.
    """
    images, tokens, labels = batch
    image_parts = images.chunk(config.micro_batches)
    token_parts = tokens.chunk(config.micro_batches)
    with torch.no_grad():
        cached = [
            _encode(training, part, token_part, config)[:2]
            for part, token_part in zip(image_parts, token_parts, strict=True)
        ]
    value = 0.0
    last = len(image_parts) - 1
    for at, (part, token_part) in enumerate(zip(image_parts, token_parts, strict=True)):
        waits = at < last and training.forward is not training.model
        with training.forward.no_sync() if waits else contextlib.nullcontext():
            image_features, text_features, scale = _encode(training, part, token_part, config)
            joined_images = torch.cat(
                [image_features if i == at else other[0] for i, other in enumerate(cached)]
            )
            joined_texts = torch.cat(
                [text_features if i == at else other[1] for i, other in enumerate(cached)]
            )
            loss = loss_of(
                joined_images, joined_texts, scale if at == last else scale.detach(), labels
            )
            training.scaler.scale(loss).backward()
        value = float(loss.detach())
    return value


def _encode(
    training: Training, images: Tensor, tokens: Tensor, config: FinetuneConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Both towers in the chosen precision; features in fp32, L2-normalised."""
    dtype = {"amp_bf16": torch.bfloat16, "amp_fp16": torch.float16}.get(config.precision)
    with torch.autocast(images.device.type, dtype=dtype, enabled=dtype is not None):
        image_features, text_features, scale, *_ = training.forward(images, tokens)
    normalise = torch.nn.functional.normalize
    return (
        normalise(image_features.float(), dim=-1),
        normalise(text_features.float(), dim=-1),
        scale,
    )
