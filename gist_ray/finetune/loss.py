"""Contrastive losses over features gathered from all workers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed.nn
from open_clip.loss import ClipLoss
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Encoded:
    """Image-text pairs in the joint space."""

    images: Tensor
    """(num_local, dim) float32, L2-normalised."""
    texts: Tensor
    """(num_local, dim) float32, L2-normalised."""
    logit_scale: Tensor
    """The inverse temperature, a scalar."""
    labels: Tensor
    """(num_local,) int64, -1 where there is none."""


Loss = Callable[[Encoded], Tensor]


def make_loss(name: str, *, rank: int = 0, world_size: int = 1) -> Loss:
    """Returns the loss of the pairs of worker `rank`.

    Each worker gets the mean over its own rows against the columns of all workers, so that the mean
    over workers, which is what DDP makes of the gradients, is the loss of the joined batch.
    """
    if name == "multi_positive":
        return lambda pairs: multi_positive_loss(pairs, rank=rank, world_size=world_size)
    # local_loss with gather_with_grad is the pair whose gradients have the right scale
    # (open_clip#616, #894).
    clip_loss: Any = ClipLoss(
        local_loss=True, gather_with_grad=True, rank=rank, world_size=world_size
    )
    return lambda pairs: clip_loss(pairs.images, pairs.texts, pairs.logit_scale)


def multi_positive_loss(pairs: Encoded, *, rank: int = 0, world_size: int = 1) -> Tensor:
    """Returns the symmetric cross-entropy against all pairs of the own class at once.

    The target of a row is uniform over the columns of its class: SupCon's outside-sum form
    (Khosla et al. 2020, eq. 2) across the two modalities, the row's own pair included.
    """
    all_images = _gather_with_grad(pairs.images, world_size)
    all_texts = _gather_with_grad(pairs.texts, world_size)
    labels = pairs.labels
    unlabeled = -1 - torch.arange(len(labels), device=labels.device) - rank * len(labels)
    own = torch.where(labels >= 0, labels, unlabeled)
    everyone = torch.cat(torch.distributed.nn.all_gather(own)) if world_size > 1 else own
    positive = (own[:, None] == everyone[None, :]).float()
    target = positive / positive.sum(dim=1, keepdim=True)
    of_images = functional.cross_entropy(pairs.logit_scale * pairs.images @ all_texts.T, target)
    of_texts = functional.cross_entropy(pairs.logit_scale * pairs.texts @ all_images.T, target)
    return (of_images + of_texts) / 2


def _gather_with_grad(features: Tensor, world_size: int) -> Tensor:
    if world_size == 1:
        return features
    return torch.cat(torch.distributed.nn.all_gather(features))
