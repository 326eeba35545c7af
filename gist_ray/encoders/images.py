"""From a URI to RGB pixels, with every failure given a kind."""

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from gist_ray import storage

# HTTP status, or botocore's error code, of the failures that have a kind of their own.
KIND_OF_CODE = {
    "404": "missing",
    "NoSuchKey": "missing",
    "NoSuchBucket": "missing",
    "403": "forbidden",
    "AccessDenied": "forbidden",
    "503": "throttled",
    "SlowDown": "throttled",
    "429": "throttled",
}


class ImageError(Exception):
    """Why an image gives no pixels: `kind` is one of missing, forbidden, throttled, network,
    too_large, empty or corrupt."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def fetch(uri: str, max_bytes: int) -> bytes:
    """The bytes of an image file. Raises ImageError."""
    try:
        fs, path = storage.filesystem(uri)
        num_bytes = fs.size(path)
        if num_bytes is not None and num_bytes > max_bytes:
            raise ImageError("too_large", f"{num_bytes:,} bytes; at most {max_bytes:,} are read")
        data = fs.cat_file(path)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError("missing", f"no such file: {uri}") from error
    except PermissionError as error:
        raise ImageError("forbidden", str(error)) from error
    except Exception as error:
        raise ImageError(_kind(error), f"{type(error).__name__}: {error}") from error
    if not data:
        raise ImageError("empty", "the file has no bytes")
    return data


def _kind(error: Exception) -> str:
    """The kind of a storage error, from the response that s3fs keeps behind its own exception."""
    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        if isinstance(response, dict):
            code = str(response.get("Error", {}).get("Code", ""))
            status = str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
            return KIND_OF_CODE.get(code) or KIND_OF_CODE.get(status) or "network"
        seen = seen.__cause__
    return "corrupt" if isinstance(error, IsADirectoryError) else "network"


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """RGB pixels of an encoded image. Raises ImageError.

    Grey, CMYK, palette and 16-bit images become RGB; transparency is laid on white; the EXIF
    orientation is applied; of an animation the first frame counts.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > max_pixels:
                size = f"{image.width:,} x {image.height:,} pixels"
                raise ImageError("too_large", f"{size}; at most {max_pixels:,} are decoded")
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageError("corrupt", "not an image that Pillow knows") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise ImageError("corrupt", f"{type(error).__name__}: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        low, high = image.getextrema()
        top = 255.0 if high <= 255 else 65535.0
        image = image.convert("F").point(lambda value: value * (255.0 / top)).convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
