"""Pictures in folders: split/class/* or class/*.

The top-level folders are splits if all of them are called train, val, valid, validation or test;
otherwise they are classes. Pictures may lie deeper inside a class's folder.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray import storage
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.listing import Found, files
from gist_ray.datasets.reading import (
    IMAGES,
    SPLIT_NAMES,
    ClassEntry,
    Reading,
    error_row,
    is_unicode,
    listed,
)
from gist_ray.datasets.rows import mapped
from gist_ray.datasets.splits import complete_splits
from gist_ray.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FOLDER_SPLITS = SPLIT_NAMES.keys() - {"unlabeled"}
PATHS_PER_CHUNK = 50_000


def read_image_folder(config: DataConfig) -> Reading:
    """The pictures below `config.path`, in the order of their paths.

    Raises UserError where the folders are neither splits nor classes.
    """
    root = storage.absolute(config.path)
    errors: list[dict[str, str]] = []
    seen = Folders()
    chunks = list(picture_paths(root, errors, seen))
    paths = pa.chunked_array(chunks, pa.string())
    meaning = seen.meaning(root)
    errors += outside_classes(root, paths, meaning)
    images = label_paths(paths, meaning)
    classes = meaning.class_entries()
    return Reading(root, classes, complete_splits(images, config), errors)


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

    def add(self, path: str) -> None:
        parts = path.split("/", 2)
        if len(parts) > 1:
            self.first.add(parts[0])
        if len(parts) > 2 and parts[0].lower() in FOLDER_SPLITS:
            self.second.add((parts[0], parts[1]))

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


def picture_paths(
    root: str, errors: list[dict[str, str]], seen: Folders, after: str = ""
) -> Iterator[pa.Array]:
    """The paths of pictures in chunks; what cannot be read is added to `errors` (ERRORS), the
    folders at the top to `seen`, before the chunk comes."""
    paths: list[str] = []
    for found in files(root, after):
        if not _is_picture(found):
            continue
        uri = storage.join(root, found.path)
        if found.kind:
            path = found.path.rstrip("/")
            errors.append(error_row(path, uri, found.kind, found.message))
        elif not is_unicode(found.path):
            message = f"{found.path!r} is not a UTF-8 file name. Rename it."
            errors.append(error_row(found.path, uri, "bad_name", message))
        else:
            seen.add(found.path)
            paths.append(found.path)
            if len(paths) == PATHS_PER_CHUNK:
                yield pa.array(paths, pa.string())
                paths = []
    if paths:
        yield pa.array(paths, pa.string())


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
    folders = pc.extract_regex(kept, r"^(?P<first>[^/]*)/(?P<second>[^/]*)")
    first, second = (pc.struct_field(folders, name) for name in ("first", "second"))
    label_of = {name: label for label, name in enumerate(meaning.classes)}
    nothing = pa.repeat("", len(kept))
    columns = {
        "path": kept,
        "label": mapped(second if meaning.has_splits else first, label_of.get, pa.int32()),
        "split": mapped(first, lambda name: SPLIT_NAMES[name.lower()])
        if meaning.has_splits
        else pa.repeat("train", len(kept)),
        "attributes": pa.repeat("{}", len(kept)),
        "where": nothing,
        "image_id": nothing,
    }
    return pa.table(columns, schema=IMAGES)


def _is_picture(found: Found) -> bool:
    """A folder that cannot be read counts: its pictures are lost."""
    if found.path.endswith("/"):
        return True
    hidden = any(part.startswith(".") for part in found.path.split("/"))
    return not hidden and found.path.lower().endswith(EXTENSIONS)
