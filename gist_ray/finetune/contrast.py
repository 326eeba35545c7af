"""The forward and backward pass of a contrastive batch, whole or in micro-batches."""

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gist_ray.finetune.loss import Encoded, Loss
from gist_ray.finetune.pairs import Batch
from gist_ray.train.precision import autocast
from gist_ray.train.task import Backward


@dataclass(frozen=True)
class Contrast:
    """Settings of encoding and contrasting a batch."""

    loss: Loss
    precision: str = "fp32"
    micro_batches: int = 1


def contrast(model: Any, batch: Batch, backward: Backward, *, how: Contrast) -> Tensor:
    """Computes the loss of a batch and, by `backward`, its gradient; returns the loss.

    model: an open_clip model, in DistributedDataParallel where there are several workers.
    """
    if how.micro_batches > 1:
        return _in_micro_batches(model, batch, backward, how=how)
    loss = how.loss(_encode(model, batch, how.precision))
    backward(loss)
    return loss


def _in_micro_batches(model: Any, batch: Batch, backward: Backward, *, how: Contrast) -> Tensor:
    """Computes the gradient of the whole batch's loss with the activations of one part in memory at
    a time (open_clip's --accum-freq, src/open_clip_train/train.py); returns the loss.

    First all features without gradient; then each part again with gradient, put in its place
    among the others. The logit_scale takes part in one of the passes only, where open_clip counts
    it in each.
    """
    parts = list(zip(*(rows.chunk(how.micro_batches) for rows in batch), strict=True))
    with torch.no_grad():
        cached = [_encode(model, part, how.precision) for part in parts]
    last = len(parts) - 1
    for at, part in enumerate(parts):
        waits = at < last and isinstance(model, torch.nn.parallel.DistributedDataParallel)
        with model.no_sync() if waits else contextlib.nullcontext():
            own = _encode(model, part, how.precision)
            of_all = [own if other == at else features for other, features in enumerate(cached)]
            joined = Encoded(
                torch.cat([features.images for features in of_all]),
                torch.cat([features.texts for features in of_all]),
                own.logit_scale if at == last else own.logit_scale.detach(),
                batch[2],
            )
            loss = how.loss(joined)
            backward(loss)
    return loss


def _encode(model: Any, batch: Batch, precision: str) -> Encoded:
    """Returns the features of both towers, computed in the chosen precision."""
    images, tokens, labels = batch
    with autocast(precision, images.device):
        image_features, text_features, scale, *_ = model(images, tokens)
    return Encoded(
        normalize(image_features.float(), dim=-1),
        normalize(text_features.float(), dim=-1),
        scale,
        labels,
    )
