"""Pictures, manifests and embeddings that are drawn by a seed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from gist_ray.matching.vectors import Vectors, vectors_in_memory
from gist_ray.schema import LOOKS, MANIFEST, embeddings, table


def scene(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """A picture of soft blobs with sharp edges between some: no two seeds are alike."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
    picture = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).copy()
    for _ in range(6):
        x, y = rng.integers(0, width - 20), rng.integers(0, height - 20)
        picture[y : y + 20, x : x + 20] = rng.integers(0, 256, 3)
    return Image.fromarray(picture)


def manifest(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """A MANIFEST of rows that may leave out all but what a test is about."""
    whole = [
        {
            "image_id": f"i{n}",
            "uri": f"/pictures/{n}.jpg",
            "label": 0,
            "class_name": "abc"[row.get("label") or 0],
            "split": "train",
            "attributes": "{}",
            **row,
        }
        for n, row in enumerate(rows)
    ]
    return table(whole, MANIFEST)


def looks(*rows: dict[str, Any]) -> pa.Table:
    """LOOKS of ordinary pictures, but for what a row says."""
    plain = {"width": 200, "height": 150, "brightness": 0.5, "contrast": 0.8}
    whole = [{"image_id": f"i{n}", "content": f"{n}", **plain, **r} for n, r in enumerate(rows)]
    return table(whole, LOOKS)


def vectors(features: np.ndarray) -> Vectors:
    """The rows (num_rows, dim), normalised, under the ids i0, i1, ..."""
    unit = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    ids = pa.array([f"i{n}" for n in range(len(unit))])
    column = pa.FixedSizeListArray.from_arrays(pa.array(unit.ravel()), unit.shape[1])
    of_table = pa.table([ids, column], schema=embeddings("image_id", unit.shape[1]))
    return vectors_in_memory(of_table, "image_id")
