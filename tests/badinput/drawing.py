"""The picture that all kinds of pictures show, and formats that Pillow does not write."""

import base64
import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from PIL import Image

SIZE = 64
QUADRANTS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
"""Red, green, blue and white: upper left and right, lower left and right."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# 16 x 16 pixels by libjpeg-turbo's `jpegtran -arithmetic`: Pillow reads such files, writes none.
ARITHMETIC_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYG"
    "CAsICQoKCgoKBggLDAsKDAkKCgr/2wBDAQICAgICAgUDAwUKBwYHCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoK"
    "CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgr/yQARCAAQABADAREAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/"
    "AOf5pm8y8YsFQhyRANtZRvHD7w6EHWCw9oz/2Q=="
)


def base() -> Image.Image:
    """Four quadrants, RGB."""
    image = Image.new("RGB", (SIZE, SIZE))
    half = SIZE // 2
    for place, colour in enumerate(QUADRANTS):
        x, y = half * (place % 2), half * (place // 2)
        image.paste(colour, (x, y, x + half, y + half))
    return image


def noise(seed: int) -> Image.Image:
    """A picture with much in it, so that damage hits something."""
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(
    width: int, height: int, depth: int, colour: int, raw: bytes, extra: Iterable[bytes] = ()
) -> bytes:
    """A PNG file of unfiltered rows `raw` (a zero byte before each), `extra` chunks before them.

    colour: 0 grey, 2 RGB, as in the PNG specification.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [
            PNG_SIGNATURE,
            chunk(b"IHDR", header),
            *extra,
            chunk(b"IDAT", zlib.compress(raw)),
            chunk(b"IEND", b""),
        ]
    )


def with_chunk(data: bytes, name: bytes, content: bytes) -> bytes:
    """A PNG file with one chunk more, right behind its header."""
    end_of_header = len(PNG_SIGNATURE) + 12 + 13
    return data[:end_of_header] + chunk(name, content) + data[end_of_header:]


def rgb16_png() -> bytes:
    pixels = np.asarray(base()).astype(">u2") * 257
    rows = [b"\0" + row.tobytes() for row in pixels]
    return png(SIZE, SIZE, 16, 2, b"".join(rows))


def ycck_jpeg() -> bytes:
    """CMYK as Adobe writes it: inverted, and three of the inks as luminance and colour."""
    luma, blue, red = base().convert("YCbCr").split()
    four = Image.merge("CMYK", (luma, blue, red, Image.new("L", (SIZE, SIZE), 0)))
    data = bytearray(encoded(four, "JPEG", quality=95, subsampling=0))
    # behind "Adobe", version and flags: 2 is YCCK. Pillow inverts what it writes, all four alike.
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def tiff_of_nan() -> bytes:
    pixels = np.full((SIZE, SIZE), np.nan, np.float32)
    pixels[:, SIZE // 2 :] = 1.0
    pixels[0, -1] = np.inf
    return encoded(Image.fromarray(pixels), "TIFF")


def tiff_in_a_circle() -> bytes:
    """A TIFF whose directory names itself as the next."""
    data = bytearray(encoded(base(), "TIFF"))
    (place,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, place)
    struct.pack_into("<I", data, place + 2 + 12 * entries, place)
    return bytes(data)
