"""The result of a reader of an on-disk layout, before it is checked, and functions for readers."""

import json
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.splits import Drawn
from gist_ray.errors import UserError
from gist_ray.store import storage

SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class ClassEntry:
    """A class of a data set. Its label is its position in `Reading.classes`."""

    keys: tuple[str, ...]
    """Its possible keys in a class_names file: folder, name or id."""
    name: str | None
    """The display name, or None if the layout has none."""


IMAGES = pa.schema(
    [
        # relative to `Reading.root`, with forward slashes; or absolute, or a URI
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("split", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        # a JSON object
        pa.field("attributes", pa.string(), nullable=False),
        # the line or row that names the image, for messages; "" for none
        pa.field("where", pa.string(), nullable=False),
        # the data set's own id; "" for the hash of the path
        pa.field("image_id", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image of a data set."""

    path: str
    """The path relative to `Reading.root`, with forward slashes; or an absolute path or a URI."""
    label: int | None
    split: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    """The line or row that names the image, for messages."""
    image_id: str = ""
    """The data set's own id; "" for the hash of the path."""


@dataclass(frozen=True)
class Reading:
    """A data set as read, with images in the order of its files."""

    root: str
    classes: list[ClassEntry]
    images: pa.Table
    """An IMAGES table, with the splits that the data set has itself."""
    errors: list[dict[str, str]] = field(default_factory=list)
    """Rows that could not be used, as rows of an ERRORS table."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """{why files were not looked at: how many}, for example {"ending .heic": 12}."""
    drawn: Mapping[str, Drawn] = field(default_factory=dict)
    """The splits that are to be drawn from train."""


def read_given_table(uri: str) -> pa.Table:
    """Returns the rows of a user's Parquet file. Raises UserError if it cannot be read."""
    try:
        return storage.read_parquet(uri)
    except FileNotFoundError as error:
        raise UserError(f"{uri}: there is no such file.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{uri}: is not a Parquet file ({error}).") from error


def images_table(images: Iterable[LabelledImage]) -> pa.Table:
    """Returns the images as an IMAGES table. Raises UserError for names that are not Unicode."""
    images = list(images)
    odd = [image for image in images if not is_unicode(image.image_id + image.path)]
    if odd:
        raise UserError(
            [f"{i.where}: {i.path!r} is not Unicode text. Rename the file." for i in odd[:20]]
        )
    columns: dict[str, Any] = {
        "path": [image.path for image in images],
        "label": [image.label for image in images],
        "split": [image.split for image in images],
        "group": pa.nulls(len(images), pa.string()),
        "attributes": [json.dumps(image.attributes, default=str) for image in images],
        "where": [image.where for image in images],
        "image_id": [image.image_id for image in images],
    }
    return pa.table(columns, schema=IMAGES)


def is_unicode(text: str) -> bool:
    """Returns whether a table can hold the text. The name of a file whose bytes are not UTF-8 has
    surrogates, which it cannot."""
    return not SURROGATE.search(text)


def relative_path(root: str, path: str) -> str:
    """Returns `path` relative to `root` if it is inside it, else normalised. All spellings of a
    picture's path give the same result, and so the same image_id."""
    if "://" in path or path.startswith("/"):
        path = storage.absolute(path)
        return path.removeprefix(root + "/")
    if {".", "..", ""} & set(path.split("/")):
        return posixpath.normpath(path)
    return path


def relative_paths(root: str, paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns `relative_path` of each, computed only for paths that it may change."""
    odd = pc.match_substring_regex(paths, r"(^|/)\.{0,2}(/|$)|://")
    return _replaced(paths, odd, lambda path: relative_path(root, path))


def locate(root: str, path: str) -> str:
    """Returns the absolute path or URI of a result of `relative_path`."""
    if "://" in path or path.startswith("/"):
        return path
    if path.startswith("../"):
        scheme, separator, folder = root.rpartition("://")
        return scheme + separator + posixpath.normpath(posixpath.join(folder, path))
    return storage.join(root, path)


def locations(root: str, paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns `locate` of each."""
    odd = pc.match_substring_regex(paths, r"^/|/$|^\.\./|://")
    inside = pc.binary_join_element_wise(root.rstrip("/"), paths, "/")
    located = _replaced(paths, odd, lambda path: locate(root, path))
    return pc.if_else(odd, located, inside)


def _replaced(
    paths: pa.ChunkedArray, chosen: pa.ChunkedArray, change: Callable[[str], str]
) -> pa.ChunkedArray:
    """Returns `paths` with `change` applied to the chosen ones."""
    if not pc.any(chosen).as_py():
        return paths
    changed = [change(path) for path in paths.filter(chosen).to_pylist()]
    replaced = pc.replace_with_mask(
        paths.combine_chunks(), chosen.combine_chunks(), pa.array(changed, pa.string())
    )
    return pa.chunked_array([replaced])


def find_root(path: str, marker: str, folders: Iterable[str]) -> str:
    """Returns the first of `folders` (relative to `path`) that has the file `marker`; else `path`.

    So `path` may be the unpacked archive or the folder inside it.
    """
    root = storage.absolute(path)
    for folder in folders:
        candidate = storage.join(root, folder) if folder else root
        if storage.exists(storage.join(candidate, marker)):
            return candidate
    return root


def parent(uri: str) -> str:
    """Returns the folder of a file."""
    return os.path.dirname(storage.absolute(uri))


def check_image_folder(root: str, folder: str, problems: list[str]) -> None:
    """Adds a problem if the folder with all pictures does not exist."""
    uri = locate(root, relative_path(root, folder)) if folder else root
    if not storage.is_folder(uri):
        problems.append(f"{uri}: the folder with the pictures is not there. Unpack them into it.")
