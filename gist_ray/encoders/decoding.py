"""The step before the encoder, which fetches pictures and decodes them to pixels of a model's
size."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gist_ray.encoders.clip import to_pixels
from gist_ray.encoders.config import EmbedConfig
from gist_ray.images.decode import ImageError, decode, fetch
from gist_ray.run.step import Batch, Step
from gist_ray.store.retry import PATIENCE_S

FETCH_THREADS = 8

# How long the pictures of a block may wait together for a store that is throttled or down, before
# each of the rest is given a short try only: an outage must not look like a run that hangs.
BLOCK_PATIENCE_S = 300.0
SHORT_PATIENCE_S = 5.0


def decoding(preprocess: Any, config: EmbedConfig) -> Step:
    """Returns the step from image_id and uri to these and `pixels` of the model's size, uint8, with
    the error_kind and error_message of pictures that have none, whose pixels are black."""
    return Step(make=_decoder, args=(preprocess, config), max_workers=config.max_decoders)


def _decoder(preprocess: Any, config: EmbedConfig) -> Callable[[Batch], Batch]:
    height, width = size_of(preprocess)
    limits = config.limits

    def decode_batch(batch: Batch) -> Batch:
        transform = to_pixels(preprocess)
        end = time.monotonic() + BLOCK_PATIENCE_S

        def one(uri: str) -> tuple[np.ndarray | None, str, str]:
            patience_s = min(PATIENCE_S, max(SHORT_PATIENCE_S, end - time.monotonic()))
            try:
                data = fetch(uri, limits.max_bytes, patience_s)
                image = decode(data, limits.max_image_pixels, white_level=limits.white_level)
                return np.asarray(transform(image)), "", ""
            except ImageError as error:
                return None, error.kind, error.message

        with ThreadPoolExecutor(FETCH_THREADS) as threads:
            results = list(threads.map(one, batch["uri"]))
        blank = np.zeros((height, width, 3), np.uint8)
        return {
            "image_id": batch["image_id"],
            "uri": batch["uri"],
            "pixels": np.stack([blank if image is None else image for image, _, _ in results]),
            "error_kind": [kind for _, kind, _ in results],
            "error_message": [message for _, _, message in results],
        }

    return decode_batch


def size_of(preprocess: Any) -> tuple[int, int]:
    """Returns the height and width in pixels of a model's input."""
    size = preprocess.size
    return (size, size) if isinstance(size, int) else (size[0], size[1])
