"""What a picture looks like in a few numbers, and which of them are odd."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from gist_ray.audit.config import ChecksConfig

REDUCED_PX = 64
"""Brightness is measured on the picture reduced to this longer side, which removes the noise of a
camera and of JPEG from a blank picture."""

FAULTS = ("blank", "dark", "tiny", "odd_shape")


def look_at(image: Image.Image, data: bytes) -> dict[str, object]:
    """Returns the columns of LOOKS, without the id, of a picture in RGB with the bytes `data`."""
    reduced = image.copy()
    reduced.thumbnail((REDUCED_PX, REDUCED_PX))
    luma = np.asarray(reduced.convert("L"), np.float32) / 255
    low, high = np.percentile(luma, [1, 99])
    return {
        "width": image.width,
        "height": image.height,
        "brightness": float(luma.mean()),
        "contrast": float(high - low),
        "content": hashlib.sha256(data).hexdigest(),
    }


def faults_of(looks: pa.Table, checks: ChecksConfig) -> pa.Table:
    """Returns the LOOKS with a column `faults` (list of names in FAULTS), of pictures with any."""
    short = pc.min_element_wise(looks["width"], looks["height"])
    long = pc.max_element_wise(looks["width"], looks["height"])
    blank = pc.less(looks["contrast"], checks.min_contrast)
    is_odd = {
        "blank": blank,
        # a black picture is blank, and not dark besides
        "dark": pc.and_not(pc.less(looks["brightness"], checks.min_brightness), blank),
        "tiny": pc.less(short, checks.min_side_px),
        "odd_shape": pc.greater(pc.divide(long.cast(pa.float64()), short), checks.max_aspect_ratio),
    }
    columns = np.stack([np.asarray(is_odd[name]) for name in FAULTS], axis=1)
    chosen = columns.any(axis=1)
    names = [
        [name for name, odd in zip(FAULTS, row, strict=True) if odd] for row in columns[chosen]
    ]
    return looks.filter(pa.array(chosen)).append_column(
        "faults", pa.array(names, pa.list_(pa.string()))
    )
