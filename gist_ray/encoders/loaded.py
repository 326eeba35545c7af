"""Models that stay loaded in a process for later stages."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gist_ray.encoders.clip import (
    Clip,
    embed_images,
    embed_texts,
    fingerprint_of_weights,
    load_clip,
)
from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.decoding import size_of

MODELS_KEPT = 2
"""Models kept at once: a stage of another model may come between two stages of one."""


@dataclass(frozen=True)
class Source:
    """A model to load, by its config and its content: a folder may come to hold another model."""

    clip: ClipConfig
    content: str

    @classmethod
    def of(cls, clip: ClipConfig) -> "Source":
        """Returns the source of a model; reads all weights of a model in a folder."""
        return cls(clip, fingerprint_of_weights(clip))


@dataclass(frozen=True)
class Facts:
    """Facts of a model that a driver needs before others embed with it."""

    preprocess: Any
    logit_scale: float
    image_dim: int
    text_dim: int


@lru_cache(maxsize=MODELS_KEPT)
def loaded_clip(source: Source, device: str, precision: str) -> Clip:
    """Returns the model, loaded once for as long as it is among the last MODELS_KEPT."""
    return load_clip(source.clip, device=device, precision=precision)


@lru_cache(maxsize=64)
def facts_of(source: Source) -> Facts:
    """Returns facts of a model, which is loaded for this and not kept. Raises UserError as
    `load_clip` does."""
    clip = load_clip(source.clip)
    pixels = np.zeros((1, *size_of(clip.preprocess), 3), np.uint8)
    return Facts(
        preprocess=clip.preprocess,
        logit_scale=clip.logit_scale,
        image_dim=embed_images(clip, pixels).shape[1],
        text_dim=embed_texts(clip, ["a"]).shape[1],
    )
