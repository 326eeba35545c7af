"""Reads an image by its URI and decodes it to RGB pixels. Every failure has a kind."""

import errno
import io
import os
import stat
import warnings
from functools import cache

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gist_ray.images.members import MemberError, is_member, read_member
from gist_ray.store import storage
from gist_ray.store.retry import PATIENCE_S, failure_kind
from gist_ray.store.s3 import TooLargeError

# `decode` checks the size itself, and catch_warnings is not safe in threads.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

# Formats that Pillow decodes itself. Others start programs (EPS runs Ghostscript), or their
# decoders are little tested.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")


def has_picture_ending(path: str) -> bool:
    """Returns whether a file's name ends as those of files in FORMATS do, in any case."""
    dot = path.rfind(".")
    return dot >= 0 and path[dot:].lower() in _endings()


@cache
def _endings() -> frozenset[str]:
    Image.init()
    known = Image.registered_extensions().items()
    return frozenset(ending for ending, name in known if name in FORMATS)


# The shorter side is scaled to the model's size, so a very narrow image would fill the memory.
MAX_ASPECT_RATIO = 100

# Errors of a local file system for a path at which no file can be.
LEADS_NOWHERE = (errno.ELOOP, errno.EINVAL, errno.ENAMETOOLONG)


class ImageError(Exception):
    """Raised if an image cannot be read or decoded. `kind` is missing, forbidden, throttled,
    network, too_large, empty or corrupt."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def fetch(uri: str, max_bytes: int, patience_s: float = PATIENCE_S) -> bytes:
    """Returns the bytes of an image file, or of a member of a larger file. Raises ImageError.

    patience_s: seconds for all attempts at a store that throttles or does not answer.
    """
    try:
        read = read_member if is_member(uri) else _read_file
        data = read(uri, max_bytes, patience_s=patience_s)
    except ImageError:
        raise
    except MemberError as error:
        raise ImageError(error.kind, str(error)) from error
    except TooLargeError as error:
        message = f"{error.num_bytes:,} bytes; at most {max_bytes:,} are read"
        raise ImageError("too_large", message) from error
    except Exception as error:
        if _leads_nowhere(uri, error):
            raise ImageError("missing", f"{uri}: {error}") from error
        kind = failure_kind(error) or "network"
        if kind == "missing":
            raise ImageError(kind, f"no such file: {uri}") from error
        # fsspec's http raises FileNotFoundError for every answer, and says the status behind it
        told = error.__cause__ if isinstance(error, FileNotFoundError) else error
        raise ImageError(kind, f"{type(told).__name__}: {told}") from error
    if not data:
        raise ImageError("empty", "the file has no bytes")
    return data


def _read_file(uri: str, max_bytes: int, *, patience_s: float) -> bytes:
    # opening a pipe waits for its writer, and reading a device may never end
    if storage.is_local(uri) and not stat.S_ISREG(os.stat(storage.absolute(uri)).st_mode):
        raise ImageError("corrupt", f"a folder, pipe or device and no file: {uri}")
    return storage.read_bytes(uri, max_bytes, patience_s)


def _leads_nowhere(uri: str, error: Exception) -> bool:
    if isinstance(error, (ValueError, ImportError)):  # no such protocol; a path with a NUL in it
        return True
    return storage.is_local(uri) and getattr(error, "errno", None) in LEADS_NOWHERE


def decode(data: bytes, max_pixels: int, *, white_level: float | None = None) -> Image.Image:
    """Returns the RGB pixels of an encoded image, converted by `to_rgb`. Raises ImageError."""
    image = decode_as_stored(data, max_pixels)
    try:
        return to_rgb(image, white_level)
    except Exception as error:
        raise ImageError("corrupt", f"{type(error).__name__}: {error}") from error


def decode_as_stored(data: bytes, max_pixels: int) -> Image.Image:
    """Returns an encoded image in its own mode. Raises ImageError.

    The EXIF orientation is applied. Of an animation the first frame is taken.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        size = f"{image.width:,} x {image.height:,} pixels"
        if image.width * image.height > max_pixels:
            raise ImageError("too_large", f"{size}; at most {max_pixels:,} are decoded")
        if max(image.size) > MAX_ASPECT_RATIO * min(image.size):
            raise ImageError("too_large", f"{size}: longer than {MAX_ASPECT_RATIO} times its width")
        image.load()
        return _upright(image)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageError("corrupt", f"not an image in a format of {', '.join(FORMATS)}") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise ImageError("corrupt", f"{type(error).__name__}: {error}") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are usable although the EXIF data are damaged
        return image


def is_deep(image: Image.Image) -> bool:
    """Returns whether an image in its own mode has more than 8 bits per pixel and colour."""
    return image.mode.startswith("I") or image.mode == "F"


def deep_values(image: Image.Image) -> np.ndarray:
    """Returns the (height, width) float32 values of a deep image; those not finite become 0."""
    values = np.asarray(image, np.float32)
    return np.where(np.isfinite(values), values, 0)


def to_rgb(image: Image.Image, white_level: float | None = None) -> Image.Image:
    """Returns an image of any mode as RGB. Transparency is composed on white.

    white_level: the value of a deep image that becomes 255; None: 65535, or 255 (for floats also 1)
    in an image with no value above it.
    """
    if is_deep(image):
        values = deep_values(image)
        top = white_level or _usual_white(image.mode, float(np.max(values)))
        image = Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _usual_white(mode: str, highest: float) -> float:
    if highest > 255:
        return 65535.0
    return 1.0 if mode == "F" and highest <= 1 else 255.0
