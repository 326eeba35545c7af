"""Draws pictures as PNG files from rows that any worker can draw."""

import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from PIL import Image

from gist_ray.demo.butterflies.attributes import Attributes
from gist_ray.demo.butterflies.drawing import draw
from gist_ray.store.storage import join, write_bytes


def draw_row(row: Mapping[str, Any]) -> bytes:
    """Returns the PNG of a row of PICTURE_ROWS or CORPUS_ROWS."""
    attributes = Attributes.from_json(row["attributes"])
    pixels = draw(attributes, row["draw_seed"], row["image_px"])
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, format="PNG")
    return png.getvalue()


def write_pictures(rows: pa.Table, folder_uri: str) -> None:
    """Draws all rows, one after the other, to `path` below the folder."""
    for row in rows.to_pylist():
        write_bytes(join(folder_uri, row["path"]), draw_row(row))
