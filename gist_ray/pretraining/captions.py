"""A table of pictures with captions, from which a pretraining takes its pairs."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.reading import locate, parent, read_given_table, relative_path
from gist_ray.errors import UserError
from gist_ray.schema import PAIRS, stable_ids
from gist_ray.store import storage

CAPTIONS = pa.schema(
    [
        # relative to the table's folder, absolute, or a URI
        pa.field("image", pa.string()),
        # the first one is what the picture is found by in a measurement
        pa.field("captions", pa.list_(pa.string())),
        # train, val or test
        pa.field("split", pa.string()),
        # optional: by what test is told apart
        pa.field("group", pa.string()),
    ]
)


@dataclass(frozen=True)
class CaptionTable:
    """PAIRS tables by split, and the group of each test row."""

    train: pa.Table
    val: pa.Table
    test: pa.Table
    groups: list[str]


def read_captions(uri: str) -> CaptionTable:
    """Returns the pairs of a Parquet table of CAPTIONS. A row that stands there twice is visited
    twice an epoch.

    Raises UserError for a file that is none, missing columns, rows without image or caption, and
    splits without rows.
    """
    uri = storage.absolute(uri)
    given = _read(uri)
    problems = []
    for column, is_bad in (
        ("image", pc.not_equal(pc.fill_null(given["image"], ""), "")),
        ("captions", pc.greater(pc.fill_null(pc.list_value_length(given["captions"]), 0), 0)),
        ("split", pc.is_in(given["split"], pa.array(["train", "val", "test"]))),
    ):
        rows = [row for row, good in enumerate(is_bad.to_pylist(), start=1) if not good]
        if rows:
            problems.append(
                f"{uri}: column {column!r} is empty or unknown in {len(rows)} rows (first: row "
                f"{rows[0]}). Fill it in; splits are train, val and test."
            )
    of_split = {
        split: given.filter(pc.equal(given["split"], split)) for split in ("train", "val", "test")
    }
    problems += [f"{uri}: has no {name} rows." for name, rows in of_split.items() if not len(rows)]
    if problems:
        raise UserError(problems)
    folder = parent(uri)
    pairs = {split: _pairs(folder, rows) for split, rows in of_split.items()}
    return CaptionTable(**pairs, groups=of_split["test"]["group"].to_pylist())


def _read(uri: str) -> pa.Table:
    given = read_given_table(uri)
    needed = CAPTIONS.names[:3]
    if missing := [name for name in needed if name not in given.column_names]:
        raise UserError(
            f"{uri}: there is no column {', '.join(map(repr, missing))}. It has the columns "
            f"{', '.join(given.column_names)}."
        )
    if "group" not in given.column_names:
        given = given.append_column("group", pa.array([""] * len(given)))
    try:
        return given.select(CAPTIONS.names).cast(CAPTIONS)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(f"{uri}: a column is not of its type ({error}).") from error


def _pairs(folder: str, rows: pa.Table) -> pa.Table:
    uris = [locate(folder, relative_path(folder, path)) for path in rows["image"].to_pylist()]
    none = pa.nulls(len(rows), PAIRS.field("label").type)
    return pa.table([pa.array(stable_ids(uris)), uris, none, rows["captions"]], schema=PAIRS)
