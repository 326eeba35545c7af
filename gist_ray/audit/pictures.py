"""The steps over rows that read pictures: looking at one, and comparing two."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from gist_ray.audit.looks import look_at
from gist_ray.audit.pixels import grey, likeness
from gist_ray.encoders.config import EmbedConfig
from gist_ray.images.decode import ImageError, decode, fetch
from gist_ray.images.limits import ImageLimits
from gist_ray.run.step import Batch, Step

FETCH_THREADS = 8
PATIENCE_S = 30.0
PICTURES_KEPT = 4096
"""Reduced pictures kept in a process, 16 KiB each: a picture may be in several pairs."""

NO_LOOK = {"width": 0, "height": 0, "brightness": 0.0, "contrast": 0.0, "content": ""}


def looking(embed: EmbedConfig) -> Step:
    """Returns the step from image_id and uri to LOOKS."""
    return Step(make=_looker, args=(embed.limits,), max_workers=embed.max_workers)


def comparing(embed: EmbedConfig, min_correlation: float) -> Step:
    """Returns the step from NEIGHBOURS with uri and other_uri to COMPARED."""
    args = (embed.limits, min_correlation)
    return Step(make=_comparer, args=args, max_workers=embed.max_workers)


def _looker(limits: ImageLimits) -> Callable[[Batch], Batch]:
    def one(uri: str) -> dict[str, object]:
        try:
            data = fetch(uri, limits.max_bytes, PATIENCE_S)
            image = decode(data, limits.max_image_pixels, white_level=limits.white_level)
            look = look_at(image, data)
            return {**look, "error_kind": "", "error_message": ""}
        except ImageError as error:
            return {**NO_LOOK, "error_kind": error.kind, "error_message": error.message}

    def look(batch: Batch) -> Batch:
        with ThreadPoolExecutor(FETCH_THREADS) as threads:
            rows = list(threads.map(one, batch["uri"]))
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return {"image_id": batch["image_id"], "uri": batch["uri"], **columns}

    return look


def _comparer(limits: ImageLimits, min_correlation: float) -> Callable[[Batch], Batch]:
    @lru_cache(maxsize=PICTURES_KEPT)
    def reduced(uri: str) -> np.ndarray:
        data = fetch(uri, limits.max_bytes, PATIENCE_S)
        return grey(decode(data, limits.max_image_pixels, white_level=limits.white_level))

    def one(uri: str, other_uri: str) -> tuple[str, float, str, str]:
        try:
            found = likeness(reduced(uri), reduced(other_uri), enough=min_correlation)
            return found.kind, found.correlation, "", ""
        except ImageError as error:
            return "same", 0.0, error.kind, error.message

    def compare(batch: Batch) -> Batch:
        with ThreadPoolExecutor(FETCH_THREADS) as threads:
            rows = list(threads.map(one, batch["uri"], batch["other_uri"]))
        names = ("kind", "correlation", "error_kind", "error_message")
        columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        return {**batch, **columns}

    return compare
