"""Compares two pictures pixel by pixel: the same picture, a mirrored one, or a crop.

The measure is the correlation of grey values (OpenCV's TM_CCOEFF_NORMED), which brightness and
contrast do not change. Pictures are small here, so that what a JPEG encoder changes hardly counts.
The sizes, and the range of crops that is searched, are our choice.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from PIL import Image

Kind = Literal["same", "mirrored", "crop"]

LONG_SIDE_PX = 64
SMALLEST_CROP = 0.5
"""The least share of a side of a picture that a crop of it has to show to be found."""

NUM_SCALES = 12
"""Sizes of crops that are tried, evenly spaced in their logarithm: 6 % apart. Then sizes around the
best are tried, 1 % apart."""

BLUR_PX = 1.0
"""Standard deviation of the blur before pictures are compared, for a crop is never found exactly:
it lies between two pixels and between two sizes."""

FLAT = 2.0
"""Standard deviation of grey values, 0 to 255, below which a picture has nothing to compare."""


@dataclass(frozen=True)
class Likeness:
    """How two pictures are alike best, and the correlation of their grey values then, -1 to 1."""

    kind: Kind
    correlation: float


def grey(image: Image.Image) -> np.ndarray:
    """Returns grey values (height, width) float32 with a longer side of LONG_SIDE_PX."""
    scale = LONG_SIDE_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    reduced = image.convert("L").resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return cv2.GaussianBlur(np.asarray(reduced, np.float32), (0, 0), BLUR_PX)


def likeness(one: np.ndarray, other: np.ndarray, enough: float) -> Likeness:
    """Returns how two pictures, as `grey` gives them, are alike.

    Crops are searched only where the whole pictures, as they are and mirrored, correlate by less
    than `enough`. A picture of one grey correlates with nothing.
    """
    if min(one.std(), other.std()) < FLAT:
        return Likeness("same", 0.0)
    mirrored = np.ascontiguousarray(other[:, ::-1])
    whole = cv2.resize(other, one.shape[::-1], interpolation=cv2.INTER_AREA)
    best = max(
        Likeness("same", _correlation(one, whole)),
        Likeness("mirrored", _correlation(one, np.ascontiguousarray(whole[:, ::-1]))),
        key=lambda found: found.correlation,
    )
    if best.correlation >= enough:
        return best
    crop = max(
        _best_crop(one, other),
        _best_crop(other, one),
        _best_crop(one, mirrored),
        _best_crop(mirrored, one),
    )
    return Likeness("crop", crop) if crop > best.correlation else best


def _best_crop(picture: np.ndarray, crop: np.ndarray) -> float:
    """Returns the highest correlation of `crop` with any part of `picture` of its shape."""
    height, width = picture.shape
    shape = crop.shape[0] / crop.shape[1]
    widest = min(width, height / shape)

    def correlation(scale: float) -> float:
        size = (round(widest * scale), min(height, round(widest * scale * shape)))
        if size[0] < SMALLEST_CROP * width or size[1] < SMALLEST_CROP * height:
            return -1.0
        return _correlation(picture, cv2.resize(crop, size, interpolation=cv2.INTER_AREA))

    best = max(np.geomspace(1, SMALLEST_CROP, NUM_SCALES), key=correlation)
    around = best * (1 + np.array([-0.03, -0.02, -0.01, 0, 0.01, 0.02, 0.03]))
    return max(correlation(scale) for scale in around if scale <= 1)


def _correlation(picture: np.ndarray, part: np.ndarray) -> float:
    found = cv2.matchTemplate(picture, part, cv2.TM_CCOEFF_NORMED)
    return float(np.nan_to_num(found, nan=-1, posinf=-1, neginf=-1).max())
