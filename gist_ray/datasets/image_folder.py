"""The reader of pictures in folders: split/class/* or class/*.

The top-level folders are splits if all of them have a usual name of a split (train, Training, val,
dev, test ...) or `split_names` says so; otherwise they are classes. Pictures may be in subfolders
of a class's folder.
"""

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.folders import Folders, LeftOut, Meaning, parts
from gist_ray.datasets.listing import files
from gist_ray.datasets.reading import IMAGES, Reading, is_unicode
from gist_ray.datasets.rows import mapped
from gist_ray.datasets.splits import to_draw
from gist_ray.errors import UserError
from gist_ray.images.decode import has_picture_ending
from gist_ray.schema import error_row
from gist_ray.store import storage

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

    Raises UserError if the folders are neither splits nor classes, for a folder that cannot be
    read, and for one whose pictures all have endings that are not read.
    """
    root = storage.absolute(config.path)
    left_out = LeftOut()
    found = find_pictures(root, follow_links=config.follow_links, left_out=left_out)
    paths, errors = pictures_and_errors(root, pa.concat_tables([FOUND.empty_table(), *found]))
    seen = Folders()
    seen.add(paths)
    meaning = seen.meaning(root, config.split_names)
    if problems := left_out.problems(root, seen, meaning):
        raise UserError(problems)
    errors += outside_classes(root, paths, meaning)
    return Reading(
        root,
        meaning.class_entries(),
        label_paths(paths, meaning),
        errors,
        left_out.reasons,
        to_draw(meaning.splits, config),
    )


def find_pictures(
    root: str, after: str = "", *, follow_links: bool = False, left_out: LeftOut | None = None
) -> Iterator[pa.Table]:
    """Yields the pictures whose path comes after `after`, and the unreadable paths, as FOUND tables
    of at most PATHS_PER_CHUNK rows. Adds the other files to `left_out`.

    Raises UserError for folders that cannot be read: nobody knows how much would be lost.
    """
    rows: list[tuple[str, str, str]] = []
    unreadable = []
    for path, kind, message in files(root, after, follow_links=follow_links):
        if path.endswith("/"):
            unreadable.append(message)
        elif any(part.startswith(".") for part in path.split("/")):
            continue
        elif not has_picture_ending(path):
            if left_out is not None:
                left_out.add(path)
        elif is_unicode(path):
            rows.append((path, kind, message))
        else:
            message = f"{path!r} is not a UTF-8 file name. Rename it."
            row = error_row(path, "", kind="bad_name", message=message)
            rows.append((row["id"], row["kind"], row["message"]))
        if len(rows) == PATHS_PER_CHUNK:
            yield _found_table(rows)
            rows = []
    if unreadable:
        raise UserError(unreadable)
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
    first = parts(kept, 1)
    nothing = pa.repeat("", len(kept))
    columns = {
        "path": kept,
        "label": mapped(class_folders(kept, meaning), _label_of(meaning), pa.int32()),
        "split": mapped(first, meaning.split_folders.get)
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
    return parts(paths, meaning.depth)


def _label_of(meaning: Meaning) -> Callable[[str], int]:
    label_of = {name: label for label, name in enumerate(meaning.classes)}
    return lambda folder: label_of[folder.rpartition("/")[2]]
