"""The index of a Parquet file of images: a reference to each image's bytes, and the other
columns."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gist_ray.errors import UserError
from gist_ray.images.members import row_reference
from gist_ray.store import storage

REFERENCE = "image reference"
"""The column of references. The name is unlikely to be a user's column."""


def name_column(label_column: str) -> str:
    """Returns the name of the column with the class names of a Hugging Face ClassLabel."""
    return f"{label_column} name"


def index_parquet(uri: str, image_column: str) -> pa.Table:
    """Returns one row for each row of the file: REFERENCE, every column that holds no bytes, and
    for each ClassLabel a column with the class names (`name_column`).

    image_column: the column of the images; any other name stands for the only column of bytes.
    Raises UserError for a damaged file, and if it has no or several columns of bytes.
    """
    fs, path = storage.filesystem(uri)
    try:
        with fs.open(path, "rb") as file, pq.ParquetFile(file, pre_buffer=True) as parquet:
            schema = parquet.schema_arrow
            leaf = _bytes_of(uri, schema, image_column)
            others = [f.name for f in schema if not holds_bytes(f.type)]
            rows = parquet.read(others)
            num_rows = parquet.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{uri}: cannot be read as Parquet ({error}).") from error
    references = [row_reference(uri, row, leaf) for row in range(num_rows)]
    columns = {REFERENCE: pa.array(references, pa.string())}
    columns |= {name: rows.column(name) for name in others}
    for name, class_names in _class_labels(schema).items():
        if name in others:
            labels = [x if x is not None and x >= 0 else None for x in rows[name].to_pylist()]
            columns[name] = pa.array(labels, pa.int64())
            named = [None if x is None else class_names[x] for x in labels]
            columns[name_column(name)] = pa.array(named, pa.string())
    return pa.table(columns)


def _bytes_of(uri: str, schema: pa.Schema, image_column: str) -> str:
    """Returns the path of the column of bytes: its name, or such as image.bytes inside a struct."""
    of_bytes = [field.name for field in schema if holds_bytes(field.type)]
    name = image_column if image_column in of_bytes else ""
    if not name and len(of_bytes) == 1:
        (name,) = of_bytes
    if not name:
        has = f"columns of bytes: {', '.join(of_bytes)}" if of_bytes else "no column of bytes"
        raise UserError(f"{uri}: there is no column {image_column!r} with images; it has {has}.")
    kind = schema.field(name).type
    while pa.types.is_struct(kind):
        inside = next(field for field in kind if holds_bytes(field.type))
        name, kind = f"{name}.{inside.name}", inside.type
    return name


def _class_labels(schema: pa.Schema) -> dict[str, list[str]]:
    """Returns {column: class names} from the metadata that Hugging Face's datasets writes."""
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features: dict[str, Any] = info.get("info", {}).get("features", {})
        return {
            name: list(feature["names"])
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, AttributeError, KeyError):
        return {}


def holds_bytes(kind: pa.DataType) -> bool:
    """Returns whether cells of a type hold bytes, also inside structs as in Hugging Face's image
    columns."""
    if pa.types.is_struct(kind):
        return any(holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
