"""The part files of an artifact, and the index of ids beside each.

<artifact>/parts/<name>.parquet    rows; named by their ids
<artifact>/ids/<name>.parquet      the ids of the part of that name, in its order, and its size

The index only saves reading the part: a part counts if its own file exists. The ids of a part
without an index, as older versions wrote them, are read from the part's column of ids.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gist_ray.errors import UserError
from gist_ray.schema import stable_id
from gist_ray.store import storage
from gist_ray.store.retry import failure_kind

PARTS = "parts"
IDS = "ids"
PART_BYTES = b"part_bytes"
"""The key, in the metadata of an index, of the size of its part in bytes."""


@dataclass(frozen=True)
class StoredFile:
    """A stored part, or a stored file of errors."""

    name: str
    num_bytes: int
    ids: pa.Array
    errors: pa.Table
    """The ERRORS rows of a file of errors; empty for a part."""
    index: str = ""
    """The name of the index of a part, "" if it has no usable one."""


def read_part(
    folder: str,
    name: str,
    columns: list[str] | None = None,
    *,
    num_rows: int | None = None,
    by_range: bool = True,
) -> pa.Table:
    """Returns the rows of one Parquet file of an artifact's folder.

    by_range: as for `storage.read_parquet`. Raises UserError if the file is missing or damaged, or
    does not have `num_rows` rows.
    """
    uri = storage.join(folder, name)
    mend = f"Delete the folder {folder} and run again."
    try:
        table = storage.read_parquet(uri, columns, by_range=by_range)
    except (OSError, pa.ArrowException) as error:
        if failure_kind(error) not in (None, "missing"):
            raise  # a network failure does not mean that the part is damaged
        raise UserError(f"{uri}: this part of an artifact is damaged ({error}). {mend}") from error
    if num_rows is not None and table.num_rows != num_rows:
        raise UserError(
            f"{uri}: has {table.num_rows} rows where artifact.json says {num_rows}. {mend}"
        )
    return table


def read_ids_of(folder: str, part: Mapping[str, Any], id_column: str) -> pa.ChunkedArray:
    """Returns the ids of a part of an artifact.json. Raises UserError as `read_part` does."""
    has_index = "ids" in part
    name = part["ids"] if has_index else part["file"]
    rows = read_part(folder, name, [id_column], num_rows=part["rows"], by_range=not has_index)
    return rows.column(id_column)


def write_part(folder: str, rows: pa.Table, id_column: str) -> tuple[str, int]:
    """Writes rows as a part with its index. Returns the part's name in the folder and its size in
    bytes.

    The index is written first. A process that is killed between the two writes leaves an index
    without a part, which no reader counts; storing the same rows again overwrites it.
    """
    name = file_name(rows.column(id_column))
    data = storage.parquet_bytes(rows)
    index = rows.select([id_column]).replace_schema_metadata({PART_BYTES: str(len(data))})
    storage.write_parquet(storage.join(folder, IDS, name), index)
    storage.write_bytes(storage.join(folder, PARTS, name), data)
    return f"{PARTS}/{name}", len(data)


def file_name(ids: pa.ChunkedArray) -> str:
    """Returns the name of the part with these ids, a hash of the ids in their order."""
    return f"{stable_id(json.dumps(ids.to_pylist()))}.parquet"


def index_of(part: str) -> str:
    """Returns the name of the index of the part of this name."""
    return f"{IDS}/{part.removeprefix(f'{PARTS}/')}"


def indexed_ids(folder: str, part: str, *, part_bytes: int, id_column: str) -> pa.Array | None:
    """Returns the ids of a part from its index, or None if the index is damaged or is of a part of
    another size than `part_bytes`.

    The sizes differ if the part was truncated, or if a task that ran a second time was killed
    between writing the index and the part.
    """
    try:
        index = read_part(folder, index_of(part), [id_column], by_range=False)
    except UserError:
        return None
    if (index.schema.metadata or {}).get(PART_BYTES) != str(part_bytes).encode():
        return None
    return index.column(id_column).combine_chunks()
