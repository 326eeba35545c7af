"""Pictures that are unusual and fine: what comes out of them is known pixel by pixel."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps

from tests.badinput.drawing import (
    ARITHMETIC_JPEG,
    QUADRANTS,
    SIZE,
    base,
    encoded,
    noise,
    rgb16_png,
    tiff_in_a_circle,
    tiff_of_nan,
    ycck_jpeg,
)
from tests.badinput.kinds import PictureFile

Colour = tuple[int, int, int]

RED, GREEN, BLUE, WHITE = QUADRANTS
BLACK = (0, 0, 0)
ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF's orientation -> how a camera held so stores an upright picture."""


@dataclass(frozen=True, kw_only=True)
class FinePicture(PictureFile):
    """Decoded it shows these colours in the middle of its quadrants."""

    colours: Sequence[Colour] = QUADRANTS


def _animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (SIZE, SIZE), colour) for colour in ("black", "red")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    return encoded(base(), kind, save_all=True, append_images=frames, **lossless)


def _palette() -> bytes:
    image = base().quantize(4)
    see_through = image.getpixel((0, 0))
    return encoded(image, "PNG", transparency=see_through)


def _grey_and_alpha() -> bytes:
    grey = Image.new("L", (SIZE, SIZE), 0)
    alpha = Image.new("L", (SIZE, SIZE), 255)
    alpha.paste(0, (0, 0, SIZE // 2, SIZE))
    return encoded(Image.merge("LA", (grey, alpha)), "PNG")


def _deep_grey() -> bytes:
    image = Image.new("I;16", (SIZE, SIZE), 65535)
    image.paste(0, (0, 0, SIZE // 2, SIZE))
    return encoded(image, "PNG")


def _one_bit() -> bytes:
    image = Image.new("1", (SIZE, SIZE), 1)
    image.paste(0, (0, 0, SIZE // 2, SIZE))
    return encoded(image, "PNG")


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = base()
    if orientation in ORIENTATIONS:
        image = image.transpose(ORIENTATIONS[orientation])
        assert ImageOps.exif_transpose(_with_exif(image, exif)).tobytes() == base().tobytes()
    return encoded(image, "JPEG", exif=exif, quality=95)


def _with_exif(image: Image.Image, exif: Image.Exif) -> Image.Image:
    return Image.open(io.BytesIO(encoded(image, "PNG", exif=exif)))


def jpeg(**options: object) -> bytes:
    return encoded(base(), "JPEG", **{"quality": 95, **options})


LEFT_BLACK = (BLACK, WHITE, BLACK, WHITE)

KINDS: list[FinePicture] = [
    FinePicture(
        name="cmyk.jpg",
        happens="CMYK: embedded as RGB",
        make=lambda: encoded(base().convert("CMYK"), "JPEG", quality=95),
    ),
    FinePicture(
        name="adobe_ycck.jpg",
        happens="Adobe's inverted YCCK: embedded as RGB",
        make=ycck_jpeg,
    ),
    FinePicture(name="progressive.jpg", happens="embedded", make=lambda: jpeg(progressive=True)),
    FinePicture(name="arithmetic.jpg", happens="embedded", make=lambda: ARITHMETIC_JPEG),
    FinePicture(name="rgb16.png", happens="16 bits per channel: embedded with 8", make=rgb16_png),
    FinePicture(
        name="grey16.png",
        happens="16-bit grey: scaled to 8 bits, not clipped",
        make=_deep_grey,
        colours=LEFT_BLACK,
    ),
    FinePicture(
        name="one_bit.png", happens="black and white: embedded", make=_one_bit, colours=LEFT_BLACK
    ),
    FinePicture(
        name="palette_transparent.png",
        happens="a see-through palette entry: laid on white",
        make=_palette,
        colours=(WHITE, GREEN, BLUE, WHITE),
    ),
    FinePicture(
        name="grey_alpha.png",
        happens="grey with alpha: laid on white",
        make=_grey_and_alpha,
        colours=(WHITE, BLACK, WHITE, BLACK),
    ),
    FinePicture(
        name="float_nan.tiff",
        happens="float pixels that are NaN or infinite: those are black",
        make=tiff_of_nan,
        colours=LEFT_BLACK,
    ),
    FinePicture(
        name="animated.gif", happens="the first frame counts", make=lambda: _animated("GIF")
    ),
    FinePicture(
        name="animated.png", happens="the first frame counts", make=lambda: _animated("PNG")
    ),
    FinePicture(
        name="animated.webp", happens="the first frame counts", make=lambda: _animated("WEBP")
    ),
    FinePicture(
        name="exif_turned.jpg",
        happens="each of EXIF's eight orientations: turned upright",
        make=lambda seed: _turned(seed + 1),
        num_files=8,
    ),
    FinePicture(
        name="exif_of_99.jpg",
        happens="an orientation that does not exist: left as it is",
        make=lambda: _turned(99),
    ),
    FinePicture(
        name="exif_broken.jpg",
        happens="broken EXIF takes nothing from the pixels",
        make=lambda: jpeg(exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(20)),
    ),
    FinePicture(
        name="icc_broken.jpg",
        happens="the colour profile is not used, broken or not",
        make=lambda: jpeg(icc_profile=b"no profile at all" * 10),
    ),
    FinePicture(
        name="icc_huge.jpg",
        happens="a colour profile of 3 MiB: embedded",
        make=lambda: jpeg(icc_profile=noise(1).tobytes() * 256),
    ),
    FinePicture(
        name="png_called.jpg",
        happens="the content counts, not the extension",
        make=lambda: encoded(base(), "PNG"),
    ),
    FinePicture(
        name="trailing_rubbish.jpg",
        happens="bytes behind the picture's end are not read",
        make=lambda: jpeg() + b"<script>alert(1)</script>" * 100,
    ),
    FinePicture(
        name="circular_pages.tiff",
        happens="a TIFF that is its own next page: the first page counts",
        make=tiff_in_a_circle,
    ),
    FinePicture(
        name="1x1.png",
        happens="embedded",
        make=lambda: encoded(Image.new("RGB", (1, 1), RED), "PNG"),
        colours=(RED, RED, RED, RED),
    ),
]
