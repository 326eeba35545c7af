"""A vendor's file as a small picture on white."""

import io
from pathlib import Path

from PIL import Image

from gist_ray.images.decode import to_rgb


def draw(file: Path, image_px: int) -> Image.Image:
    """A PNG or SVG as (image_px, image_px) RGB on white."""
    if file.suffix == ".svg":
        from resvg_py import svg_to_bytes  # only those who build the set need it

        # twice the size and then down, as the pixel pictures are scaled
        png = bytes(svg_to_bytes(svg_path=str(file), width=2 * image_px, height=2 * image_px))
        image = Image.open(io.BytesIO(png))
    else:
        image = Image.open(file)
    return to_rgb(image.convert("RGBA")).resize((image_px, image_px), Image.Resampling.LANCZOS)
