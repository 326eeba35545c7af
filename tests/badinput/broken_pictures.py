"""Files that are called pictures and give no pixels, or too many."""

import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from tests.badinput.drawing import PNG_SIGNATURE, base, chunk, encoded, noise, png, with_chunk
from tests.badinput.kinds import PictureFile

MAX_IMAGE_MIB = 4
NUM_FLIPS = 6
"""Files of each format with bits flipped at other places."""

FORMATS = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "WEBP": {"quality": 90},
    "TIFF": {"compression": "tiff_lzw"},
}
FINE_OR_BROKEN = ("", "corrupt", "too_large")


@dataclass(frozen=True, kw_only=True)
class BrokenPicture(PictureFile):
    """Its row ends as an error of one of `kinds`, "" for none."""

    kinds: tuple[str, ...] = ("corrupt",)


def _flipped(image_format: str, seed: int) -> bytes:
    """Eight bits turned over, anywhere in the file."""
    draw = random.Random(f"{image_format} {seed}")
    data = bytearray(encoded(noise(seed), image_format, **FORMATS[image_format]))
    for _ in range(8):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _cut(image_format: str) -> bytes:
    data = encoded(noise(3), image_format, **FORMATS[image_format])
    return data[: len(data) // 2]


def _claimed_bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def _real_bomb() -> bytes:
    """400 million pixels of one bit in about 50 KB."""
    return png(20_000, 20_000, 1, 0, bytes(20_000 * (1 + 20_000 // 8)))


def _zeros(mib: int) -> bytes:
    return zlib.compress(bytes(mib * 2**20))


def _in_png(name: bytes, content: bytes) -> bytes:
    return with_chunk(encoded(base(), "PNG"), name, content)


def _damaged() -> Iterator[BrokenPicture]:
    for image_format in FORMATS:
        ending = image_format.lower()
        yield BrokenPicture(
            name=f"truncated.{ending}",
            happens=f"half of a {image_format}: error row `corrupt`",
            make=lambda image_format=image_format: _cut(image_format),
        )
        yield BrokenPicture(
            name=f"bits_flipped.{ending}",
            happens=f"{image_format} with eight bits turned over: embedded if it still decodes, "
            "else error row `corrupt`, or `too_large` if its size was hit",
            make=lambda seed, image_format=image_format: _flipped(image_format, seed),
            num_files=NUM_FLIPS,
            kinds=FINE_OR_BROKEN,
        )


HTML = b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
# would write a file if Ghostscript, unsafe as it once was, were given it
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 64 64
(executed.txt) (w) file (ran) writestring showpage
%%EOF
"""

KINDS: list[BrokenPicture] = [
    *_damaged(),
    BrokenPicture(
        name="no_bytes.jpg", happens="error row `empty`", make=lambda: b"", kinds=("empty",)
    ),
    BrokenPicture(
        name="zero_bytes.png",
        happens="4 KiB of zeros: error row `corrupt`",
        make=lambda: bytes(4096),
    ),
    BrokenPicture(
        name="text.jpg", happens="error row `corrupt`", make=lambda: b"See the other folder.\n"
    ),
    BrokenPicture(
        name="error_page.png",
        happens="an HTML page saved by a downloader: error row `corrupt`",
        make=lambda: HTML,
    ),
    BrokenPicture(name="drawing.svg.png", happens="error row `corrupt`", make=lambda: SVG),
    BrokenPicture(name="document.jpg", happens="a PDF: error row `corrupt`", make=lambda: PDF),
    BrokenPicture(
        name="postscript.jpg",
        happens="an EPS: error row `corrupt`; Ghostscript is never started",
        make=lambda: EPS,
    ),
    BrokenPicture(
        name="only_signature.png", happens="error row `corrupt`", make=lambda: PNG_SIGNATURE
    ),
    BrokenPicture(
        name="1x10000.png",
        happens="a thread of pixels, which scaled by its short side would fill the memory: error "
        "row `too_large`",
        make=lambda: encoded(Image.new("RGB", (1, 10_000)), "PNG"),
        kinds=("too_large",),
    ),
    BrokenPicture(
        name="bomb_claimed.png",
        happens="63 bytes that claim 20,000 x 20,000 pixels: error row `too_large`",
        make=_claimed_bomb,
        kinds=("too_large",),
    ),
    BrokenPicture(
        name="bomb_real.png",
        happens="20,000 x 20,000 pixels in 50 KB: error row `too_large`, nothing is decoded",
        make=_real_bomb,
        kinds=("too_large",),
    ),
    BrokenPicture(
        name="bomb_in_text.png",
        happens="64 MiB of zeros in a zTXt chunk: error row `corrupt`, unpacked to 1 MiB at most",
        make=lambda: _in_png(b"zTXt", b"Comment\0\0" + _zeros(64)),
    ),
    BrokenPicture(
        name="bomb_in_unicode_text.png",
        happens="the same in an iTXt chunk: error row `corrupt`",
        make=lambda: _in_png(b"iTXt", b"Comment\0\1\0\0\0" + _zeros(64)),
    ),
    BrokenPicture(
        name="bomb_in_profile.png",
        happens="the same as a colour profile: error row `corrupt`",
        make=lambda: _in_png(b"iCCP", b"profile\0\0" + _zeros(64)),
    ),
    BrokenPicture(
        name="larger_than_allowed.jpg",
        happens="a file above `embed.max_image_mib`: error row `too_large`, not read",
        make=lambda: encoded(base(), "JPEG") + bytes((MAX_IMAGE_MIB + 1) * 2**20),
        kinds=("too_large",),
    ),
]
