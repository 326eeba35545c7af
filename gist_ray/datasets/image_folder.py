"""The reader of pictures in folders: split/class/* or class/*.

The top-level folders are splits if all of them are called train, val, valid, validation or test;
otherwise they are classes. Pictures may be in subfolders of a class's folder.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.listing import Found, files
from gist_ray.datasets.reading import (
    IMAGES,
    SPLIT_NAMES,
    ClassEntry,
    Reading,
    is_unicode,
    listed,
)
from gist_ray.datasets.rows import mapped
from gist_ray.datasets.splits import complete_splits
from gist_ray.errors import UserError
from gist_ray.schema import error_row
from gist_ray.store import storage

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FOLDER_SPLITS = SPLIT_NAMES.keys() - {"unlabeled"}
PATHS_PER_CHUNK = 50_000


FOUND = pa.schema(
    [
        # relative to the data set's folder
        pa.field("path", pa.string(), nullable=False),
        # kind and message of an ERRORS row; "" for a picture
        pa.field("kind", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
    ]
)


def read_image_folder(config: DataConfig) -> Reading:
    """Returns the pictures below `config.path`, in the order of their paths.

    Raises UserError if the folders are neither splits nor classes.
    """
    root = storage.absolute(config.path)
    found = pa.concat_tables([FOUND.empty_table(), *find_pictures(root)])
    paths, errors = pictures_and_errors(root, found)
    seen = Folders()
    seen.add(paths)
    meaning = seen.meaning(root)
    errors += outside_classes(root, paths, meaning)
    images = label_paths(paths, meaning)
    classes = meaning.class_entries()
    return Reading(root, classes, complete_splits(images, config, meaning.splits), errors)


@dataclass(frozen=True)
class Meaning:
    """The meaning of a data set's folders: splits and classes, or classes alone."""

    has_splits: bool
    classes: list[str]
    splits: set[str]
    """The splits that have a folder; train if there are no split folders."""

    @property
    def depth(self) -> int:
        """The number of folders above a picture: 2 for split/class, 1 for class."""
        return 2 if self.has_splits else 1

    def class_entries(self) -> list[ClassEntry]:
        return [ClassEntry((name,), name.replace("_", " ").strip()) for name in self.classes]


@dataclass(frozen=True)
class Folders:
    """The names of the top folders of a data set, collected from its paths."""

    first: set[str] = field(default_factory=set)
    second: set[tuple[str, str]] = field(default_factory=set)
    """(split, folder in it) of top folders that have the name of a split."""

    def add(self, paths: pa.ChunkedArray) -> None:
        for name in pc.unique(_parts(paths, 1)).to_pylist():
            self.first.update([name] if name else [])
        for folders in pc.unique(_parts(paths, 2)).to_pylist():
            first, _, second = (folders or "").partition("/")
            if first.lower() in FOLDER_SPLITS:
                self.second.add((first, second))

    def meaning(self, root: str) -> Meaning:
        """Returns the meaning of the folders. Raises UserError if there are folders of several
        splits and others beside them."""
        splits = {folder for folder in self.first if folder.lower() in FOLDER_SPLITS}
        others = self.first - splits
        # one class may be called "train"; two names of splits among others are a mistake
        if others and len({SPLIT_NAMES[folder.lower()] for folder in splits}) > 1:
            raise UserError(
                f"{root}: has split folders ({listed(sorted(splits))}) and other folders "
                f"({listed(sorted(others))}) side by side. Move the others away, or put "
                "the classes of all splits at the top."
            )
        if self.first and not others:
            of_pictures = {SPLIT_NAMES[split.lower()] for split, _ in self.second}
            return Meaning(True, sorted({name for _, name in self.second}), of_pictures)
        return Meaning(False, sorted(self.first), {"train"})


def find_pictures(root: str, after: str = "") -> Iterator[pa.Table]:
    """Yields the pictures whose path comes after `after`, and the unreadable paths, as FOUND tables
    of at most PATHS_PER_CHUNK rows."""
    rows: list[tuple[str, str, str]] = []
    for path, kind, message in filter(_is_picture, files(root, after)):
        if is_unicode(path):
            rows.append((path, kind, message))
        else:
            message = f"{path!r} is not a UTF-8 file name. Rename it."
            row = error_row(path, "", kind="bad_name", message=message)
            rows.append((row["id"], row["kind"], row["message"]))
        if len(rows) == PATHS_PER_CHUNK:
            yield _found_table(rows)
            rows = []
    if rows:
        yield _found_table(rows)


def _found_table(rows: list[tuple[str, str, str]]) -> pa.Table:
    return pa.table([pa.array(column) for column in zip(*rows, strict=True)], schema=FOUND)


def pictures_and_errors(root: str, found: pa.Table) -> tuple[pa.ChunkedArray, list[dict[str, str]]]:
    """Returns the paths of the pictures in a FOUND table, and ERRORS rows of the others."""
    is_picture = pc.equal(found.column("kind"), "")
    errors = [
        error_row(
            row["path"].rstrip("/"),
            storage.join(root, row["path"]),
            kind=row["kind"],
            message=row["message"],
        )
        for row in found.filter(pc.invert(is_picture)).to_pylist()
    ]
    return found.column("path").filter(is_picture), errors


def outside_classes(root: str, paths: pa.ChunkedArray, meaning: Meaning) -> list[dict[str, str]]:
    """Returns ERRORS rows of the pictures that are in no class's folder."""
    expected = "split/class/picture" if meaning.has_splits else "class/picture"
    outside = pc.less(pc.count_substring(paths, "/"), meaning.depth)
    return [
        error_row(
            path,
            storage.join(root, path),
            kind="bad_layout",
            message=f"{path!r} lies outside a class folder. Move it to {expected}.",
        )
        for path in paths.filter(outside).to_pylist()
    ]


def label_paths(paths: pa.ChunkedArray, meaning: Meaning) -> pa.Table:
    """Returns IMAGES of the pictures that are in a class's folder, before any split is drawn."""
    kept = paths.filter(pc.greater_equal(pc.count_substring(paths, "/"), meaning.depth))
    first = _parts(kept, 1)
    nothing = pa.repeat("", len(kept))
    columns = {
        "path": kept,
        "label": mapped(class_folders(kept, meaning), _label_of(meaning), pa.int32()),
        "split": mapped(first, lambda name: SPLIT_NAMES[name.lower()])
        if meaning.has_splits
        else pa.repeat("train", len(kept)),
        "group": pa.nulls(len(kept), pa.string()),
        "attributes": pa.repeat("{}", len(kept)),
        "where": nothing,
        "image_id": nothing,
    }
    return pa.table(columns, schema=IMAGES)


def class_folders(paths: pa.ChunkedArray, meaning: Meaning) -> pa.ChunkedArray:
    """Returns the class folder of each path, or split/class if there are splits; null for a path
    in no class's folder."""
    return _parts(paths, meaning.depth)


def _label_of(meaning: Meaning) -> Callable[[str], int]:
    label_of = {name: label for label, name in enumerate(meaning.classes)}
    return lambda folder: label_of[folder.rpartition("/")[2]]


def _parts(paths: pa.ChunkedArray, number: int) -> pa.ChunkedArray:
    """Returns the first `number` folders of each path; null if there are fewer."""
    pattern = rf"^(?P<parts>[^/]*(?:/[^/]*){{{number - 1}}})/"
    return pc.struct_field(pc.extract_regex(paths, pattern), "parts")


def _is_picture(found: Found) -> bool:
    """Returns whether a path is a picture, or an unreadable folder, whose pictures would be
    lost."""
    if found.path.endswith("/"):
        return True
    hidden = any(part.startswith(".") for part in found.path.split("/"))
    return not hidden and found.path.lower().endswith(EXTENSIONS)
