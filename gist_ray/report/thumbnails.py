"""Small pictures inside the page, encoded anew from pixels."""

import base64
import io

from PIL import Image, ImageOps

from gist_ray.images.decode import FORMATS, deep_values, fetch, is_deep, to_rgb

JPEG_QUALITY = 82
PATIENCE_S = 10.0
MAX_BYTES = 2**30


def thumbnail(uri: str, max_px: int = 160) -> str | None:
    """Returns the picture as a PNG or JPEG data URI, at most `max_px` pixels on a side and never
    enlarged; None if it cannot be read.

    Metadata, profiles and comments of the file are dropped.
    """
    try:
        image = _read(uri, max_px)
    # A decoder or an object store may raise anything; a report lacking one picture is still a
    # report, and the stage that read the image first has its error row.
    except Exception:
        return None
    return min(_data_uri(image, "PNG"), _data_uri(image, "JPEG"), key=len)


def _read(uri: str, max_px: int) -> Image.Image:
    with Image.open(io.BytesIO(fetch(uri, MAX_BYTES, PATIENCE_S)), formats=FORMATS) as opened:
        opened.draft("RGB", (max_px, max_px))
        upright = ImageOps.exif_transpose(opened)
        if is_deep(upright):
            # to be seen, whatever scale the model is given
            upright = to_rgb(upright, max(1.0, float(deep_values(upright).max())))
        upright.thumbnail((max_px, max_px))
        with_alpha = upright.convert("RGBA")
        pixels = Image.new("RGB", upright.size, "white")
        pixels.paste(with_alpha, mask=with_alpha.getchannel("A"))
        return pixels


def _data_uri(image: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=JPEG_QUALITY, optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{encoded}"
