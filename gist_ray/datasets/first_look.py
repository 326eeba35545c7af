"""Looks at a few pictures of a data set before any work, so that wrong paths and pictures that
would come out black are seen before texts are paid for."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa

from gist_ray.errors import UserError, printable
from gist_ray.images.decode import (
    ImageError,
    decode_as_stored,
    deep_values,
    fetch,
    has_picture_ending,
    is_deep,
    to_rgb,
)
from gist_ray.images.limits import ImageLimits
from gist_ray.images.members import is_member
from gist_ray.store import storage

NUM_LOOKED_AT = 24
PATIENCE_S = 5.0
LOOK_AT_ONCE = 8

NEARLY_BLACK = 16
"""A picture with no value above this, of 255, is called nearly black. Our choice."""

FEW_BITS = 2**14
"""Deep pictures of integers with no value from here on are taken for fewer bits in 16. Our
choice."""

MOST_FOLDERS = 50

ENDINGS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG", ".webp", ".tif", ".bmp")


@dataclass(frozen=True)
class _Look:
    uri: str
    error: ImageError | None = None
    size: tuple[int, int] = (0, 0)
    highest: float | None = None
    """The highest value of a picture of more than 8 bits, if these are integers."""
    brightest: int = 255
    """Of its RGB pixels."""


def look_at_pictures(manifest: pa.Table, limits: ImageLimits, root: str) -> list[str]:
    """Returns lines on a few pictures of a MANIFEST, spread over it.

    root: the folder that its relative paths are of, for guesses. Raises UserError if none of them
    is there, or if they are deep and use few of their 16 bits while no white level is set.
    """
    uris = manifest.column("uri")
    places = np.unique(np.linspace(0, len(uris) - 1, NUM_LOOKED_AT).astype(int))
    chosen = [uris[at].as_py() for at in places]
    with ThreadPoolExecutor(LOOK_AT_ONCE) as threads:
        looks = list(threads.map(lambda uri: _look(uri, limits), chosen))
    failed = [(look, look.error) for look in looks if look.error is not None]
    if len(failed) == len(looks) and all(error.kind == "missing" for _, error in failed):
        raise UserError(_all_missing(chosen, root))
    seen = [look for look in looks if look.error is None]
    if limits.white_level is None:
        _check_range(seen)
    return [*_about(seen, len(looks)), *_about_failed(failed, len(looks))]


def _look(uri: str, limits: ImageLimits) -> _Look:
    try:
        data = fetch(uri, limits.max_bytes, PATIENCE_S)
        image = decode_as_stored(data, limits.max_image_pixels)
        highest = None
        if is_deep(image) and image.mode != "F":
            highest = float(deep_values(image).max())
        rgb = to_rgb(image, limits.white_level)
    except ImageError as error:
        return _Look(uri, error)
    brightest = max(high for _, high in rgb.getextrema())  # type: ignore[misc]
    return _Look(uri, None, rgb.size, highest, int(brightest))


def _about(seen: Sequence[_Look], num_looked_at: int) -> list[str]:
    if not seen:
        return []
    smallest, largest = (
        choose(seen, key=lambda look: look.size[0] * look.size[1]).size for choose in (min, max)
    )
    lines = [
        f"looked at {num_looked_at} pictures: {smallest[0]:,} x {smallest[1]:,} to "
        f"{largest[0]:,} x {largest[1]:,} pixels"
    ]
    if dark := [look.uri for look in seen if look.brightest <= NEARLY_BLACK]:
        lines.append(
            f"of {num_looked_at} pictures looked at, {len(dark)} are nearly black: no value above "
            f"{NEARLY_BLACK} of 255 (first: {printable(dark[0])})"
        )
    return lines


def _about_failed(failed: Sequence[tuple[_Look, ImageError]], num_looked_at: int) -> list[str]:
    if not failed:
        return []
    kinds = Counter(error.kind for _, error in failed).most_common()
    first, error = failed[0]
    return [
        f"of {num_looked_at} pictures looked at, {len(failed)} cannot be read: "
        f"{', '.join(f'{kind} {number}' for kind, number in kinds)} "
        f"(first: {printable(first.uri)}: {printable(error.message)})"
    ]


def _check_range(seen: Sequence[_Look]) -> None:
    """Raises UserError for deep pictures that use few of their bits."""
    values = [look.highest for look in seen if look.highest is not None]
    highest = max(values, default=0.0)
    if 255 < highest < FEW_BITS:
        bits = int(highest).bit_length()
        raise UserError(
            f"The values of 16-bit pictures end at {highest:,.0f} in the {len(values)} looked at: "
            f"as 16 bits they would be nearly black. Set embed.white_level={2**bits - 1} if they "
            f"hold {bits} bits, or embed.white_level=65535 if they are that dark."
        )


def _all_missing(uris: Sequence[str], root: str) -> str:
    told = f"none of {len(uris)} pictures looked at is there; the first is {printable(uris[0])}."
    folders = _folders_near(root)
    guesses = (_guess(uri, root, folders) for uri in uris[:3])
    if guess := next(filter(None, guesses), ""):
        return f"{told} {guess}"
    return f"{told} Correct the paths in the data set, or what they are relative to ({root})."


def _guess(uri: str, root: str, folders: Sequence[str]) -> str:
    """Returns where a picture lies instead and what to correct; "" if it is not found."""
    if is_member(uri):
        return ""
    for place, fixes in _candidates(uri, root, folders):
        if storage.exists(place, PATIENCE_S):
            return f"{printable(place)} is there. In the paths, {' and '.join(fixes)}."
    return ""


def _candidates(uri: str, root: str, folders: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields (place, what to correct) of places where a missing picture may lie: with other
    slashes, without its first folders, in another one of `folders`, with an ending."""
    path = uri.removeprefix(f"{root}/")
    slashes = re.sub(r"^[A-Za-z]:", "", path).replace("\\", "/").strip("/")
    parts = slashes.split("/")
    endings = ("",) if has_picture_ending(slashes) else ("", *ENDINGS)
    for cut, folder, ending in product(range(len(parts)), folders, endings):
        fixes = []
        if "\\" in path:
            fixes.append("write / for \\")
        if cut:
            fixes.append(f"leave out {printable('/'.join(parts[:cut]))}/")
        if folder != root:
            name = folder.removeprefix(f"{root}/") if folder.startswith(root) else ".."
            fixes.append(f"begin with {printable(name)}/ (they are relative to {printable(root)})")
        if ending:
            fixes.append(f"write the ending {ending}")
        yield storage.join(folder, *parts[cut:]) + ending, fixes


def _folders_near(root: str) -> list[str]:
    """Returns a folder, those in it and the one above it."""
    try:
        inside = [storage.join(root, name) for name in storage.names_in(root)[:MOST_FOLDERS]]
        return [root, *filter(storage.is_folder, inside), root.rpartition("/")[0]]
    except OSError:
        return [root]
