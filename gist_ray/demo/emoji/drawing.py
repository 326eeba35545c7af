"""Converts a vendor's file to a small picture on white."""

import io
from pathlib import Path

from PIL import Image

from gist_ray.images.decode import to_rgb


def draw(file: Path, image_px: int) -> Image.Image:
    """Returns a PNG or SVG as (image_px, image_px) RGB on white."""
    if file.suffix == ".svg":
        from resvg_py import svg_to_bytes  # an optional dependency, which only this needs

        # drawn at twice the size and scaled down like the PNG files
        png = bytes(svg_to_bytes(svg_path=str(file), width=2 * image_px, height=2 * image_px))
        image = Image.open(io.BytesIO(png))
    else:
        image = Image.open(file)
    return to_rgb(image.convert("RGBA")).resize((image_px, image_px), Image.Resampling.LANCZOS)
