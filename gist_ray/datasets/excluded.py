"""Leaves out the images that a user's list names, such as the exclude.csv of an audit."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.rows import column_names, read_rows, texts
from gist_ray.errors import UserError, listed, printable
from gist_ray.store import storage

COLUMN = "image_id"


def read_excluded(uri: str) -> pa.Array:
    """Returns the distinct image_ids of a CSV, Parquet or JSONL file, in its order. Other columns
    are ignored. Raises UserError for a file that cannot be read or has no such column."""
    problems: list[str] = []
    uri = storage.absolute(uri)
    rows = read_rows(uri, problems)
    # a list of which every row was deleted has its header only
    if not problems and len(rows) and COLUMN not in column_names(rows):
        problems.append(
            f"{uri}: there is no column {COLUMN!r}. It has {listed(column_names(rows), 30)}. Name "
            "the images to leave out in it, as gist-ray audit does."
        )
    if problems:
        raise UserError([f"exclude={problem}" for problem in problems])
    if not len(rows):
        return pa.array([], pa.string())
    ids = pc.unique(pc.utf8_trim_whitespace(texts(uri, rows, COLUMN)))
    return ids.filter(pc.not_equal(ids, ""))


def not_excluded(ids: pa.Array, excluded: pa.Array) -> pa.Array:
    """Returns (num_images,) bool: whether each of the image_ids stays."""
    return pc.invert(pc.is_in(ids, value_set=excluded))


def counted(ids: pa.Array, excluded: pa.Array, uri: str) -> tuple[Mapping[str, int], list[str]]:
    """Returns {why images are left out: how many}, and lines on ids that are of no image.

    Raises UserError if all are: the list is of another data set.
    """
    unknown = excluded.filter(pc.invert(pc.is_in(excluded, value_set=ids)))
    if len(excluded) and len(unknown) == len(excluded):
        raise UserError(
            f"exclude={uri}: none of its {len(excluded):,} image_ids is in the data set (first: "
            f"{unknown[0].as_py()!r}). Give the list of this data set, read with the same path and "
            "id_column."
        )
    lines = []
    if len(unknown):
        first = printable(listed(unknown.to_pylist(), 3))
        lines.append(f"exclude: {len(unknown):,} ids are of no image: {first}")
    num_known = len(excluded) - len(unknown)
    return ({"named in exclude": num_known} if num_known else {}), lines
