"""Number formats of a training: mixed precision over fp32 master weights."""

from contextlib import AbstractContextManager
from typing import Any

import torch

AUTOCAST_TYPES = {"amp_bf16": torch.bfloat16, "amp_fp16": torch.float16}
"""By `TrainConfig.precision`. With any other, forward passes stay in the type of the weights."""


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Returns the context of a forward pass. Losses are computed outside of it, in fp32."""
    dtype = AUTOCAST_TYPES.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def gradient_scaler(precision: str, device: torch.device) -> Any:
    """Returns the scaler that keeps small fp16 gradients from becoming 0; idle otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "amp_fp16")
