"""Pictures in folders: split/class/* or class/*.

The top-level folders are splits if all of them are called train, val, valid, validation or test;
otherwise they are classes. Pictures may lie deeper inside a class's folder.
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
    """The pictures below `config.path`, in the order of their paths.

    Raises UserError where the folders are neither splits nor classes.
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
    """What the folders of a data set stand for."""

    has_splits: bool
    classes: list[str]
    splits: set[str]
    """Splits that have a folder; train where there are no such folders."""

    @property
    def depth(self) -> int:
        """The folders above a picture: split/class, or class."""
        return 2 if self.has_splits else 1

    def class_entries(self) -> list[ClassEntry]:
        return [ClassEntry((name,), name.replace("_", " ").strip()) for name in self.classes]


@dataclass(frozen=True)
class Folders:
    """The folders at the top of a data set, gathered path by path."""

    first: set[str] = field(default_factory=set)
    second: set[tuple[str, str]] = field(default_factory=set)
    """Of folders that are called like a split."""

    def add(self, paths: pa.ChunkedArray) -> None:
        for name in pc.unique(_parts(paths, 1)).to_pylist():
            self.first.update([name] if name else [])
        for folders in pc.unique(_parts(paths, 2)).to_pylist():
            first, _, second = (folders or "").partition("/")
            if first.lower() in FOLDER_SPLITS:
                self.second.add((first, second))

    def meaning(self, root: str) -> Meaning:
        """Raises UserError where split folders stand beside others."""
        splits = {folder for folder in self.first if folder.lower() in FOLDER_SPLITS}
        others = self.first - splits
        # one class may well be called "train"; two such names among others are a mistake
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
    """The pictures whose path comes after `after`, and what cannot be read, as FOUND tables of at
    most PATHS_PER_CHUNK rows."""
    rows: list[tuple[str, str, str]] = []
    for path, kind, message in filter(_is_picture, files(root, after)):
        if is_unicode(path):
            rows.append((path, kind, message))
        else:
            row = error_row(path, "", "bad_name", f"{path!r} is not a UTF-8 file name. Rename it.")
            rows.append((row["id"], row["kind"], row["message"]))
        if len(rows) == PATHS_PER_CHUNK:
            yield _found_table(rows)
            rows = []
    if rows:
        yield _found_table(rows)


def _found_table(rows: list[tuple[str, str, str]]) -> pa.Table:
    return pa.table([pa.array(column) for column in zip(*rows, strict=True)], schema=FOUND)


def pictures_and_errors(root: str, found: pa.Table) -> tuple[pa.ChunkedArray, list[dict[str, str]]]:
    """The paths of the pictures in a FOUND table, and ERRORS rows of the rest."""
    is_picture = pc.equal(found.column("kind"), "")
    errors = [
        error_row(
            row["path"].rstrip("/"), storage.join(root, row["path"]), row["kind"], row["message"]
        )
        for row in found.filter(pc.invert(is_picture)).to_pylist()
    ]
    return found.column("path").filter(is_picture), errors


def outside_classes(root: str, paths: pa.ChunkedArray, meaning: Meaning) -> list[dict[str, str]]:
    """ERRORS rows of pictures that lie in no class's folder."""
    expected = "split/class/picture" if meaning.has_splits else "class/picture"
    outside = pc.less(pc.count_substring(paths, "/"), meaning.depth)
    return [
        error_row(
            path,
            storage.join(root, path),
            "bad_layout",
            f"{path!r} lies outside a class folder. Move it to {expected}.",
        )
        for path in paths.filter(outside).to_pylist()
    ]


def label_paths(paths: pa.ChunkedArray, meaning: Meaning) -> pa.Table:
    """IMAGES of the pictures that lie in a class's folder, before any split is drawn."""
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
    """The folder of each path's class, with its split's before it where there are such; null
    for a path in none."""
    return _parts(paths, meaning.depth)


def _label_of(meaning: Meaning) -> Callable[[str], int]:
    label_of = {name: label for label, name in enumerate(meaning.classes)}
    return lambda folder: label_of[folder.rpartition("/")[2]]


def _parts(paths: pa.ChunkedArray, number: int) -> pa.ChunkedArray:
    """The first folders of each path; null where there are fewer."""
    pattern = rf"^(?P<parts>[^/]*(?:/[^/]*){{{number - 1}}})/"
    return pc.struct_field(pc.extract_regex(paths, pattern), "parts")


def _is_picture(found: Found) -> bool:
    """A folder that cannot be read counts: its pictures are lost."""
    if found.path.endswith("/"):
        return True
    hidden = any(part.startswith(".") for part in found.path.split("/"))
    return not hidden and found.path.lower().endswith(EXTENSIONS)
