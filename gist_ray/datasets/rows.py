"""Reads rows of a user's CSV, Parquet or JSONL table, and their columns as text."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets import lines
from gist_ray.datasets.reading import is_unicode
from gist_ray.errors import UserError
from gist_ray.images.parquet_index import holds_bytes
from gist_ray.store import storage

Rows: TypeAlias = pa.Table | Sequence[Mapping[str, Any]]
"""A table, or the objects of a JSONL file, whose keys and types may differ."""


def read_rows(uri: str, problems: list[str]) -> Rows:
    """Returns the rows of a CSV, Parquet or JSONL file. Adds problems of the file to `problems`."""
    suffix = uri.rpartition(".")[2].lower()
    if suffix == "csv":
        return lines.read_csv(uri, problems)
    if suffix in ("jsonl", "ndjson"):
        return _read_jsonl(uri, problems)
    if suffix == "parquet":
        return _read_parquet(uri, problems)
    problems.append(f"{uri}: a manifest is a file that ends in .csv, .parquet or .jsonl.")
    return []


def column_names(rows: Rows) -> list[str]:
    if isinstance(rows, pa.Table):
        return list(rows.column_names)
    return list({column: None for row in rows for column in row})


def texts(uri: str, rows: Rows, column: str) -> pa.Array:
    """Returns the cells of a column as text, "" for an empty cell.

    Raises UserError for cells that are not Unicode, which JSON can hold and a table cannot.
    """
    if isinstance(rows, pa.Table):
        cells = rows.column(column).combine_chunks()
        if pa.types.is_dictionary(cells.type):  # pandas' categorical columns
            cells = cells.dictionary_decode()
        if pa.types.is_string(cells.type):
            return pc.fill_null(cells, "")
        try:
            return mapped(cells, _text)
        except pa.ArrowNotImplementedError:  # Arrow cannot dictionary-encode lists and structs
            return pa.array([_text(cell) for cell in cells.to_pylist()], pa.string())
    values = [_text(row.get(column)) for row in rows]
    odd = [(n, value) for n, value in enumerate(values, 1) if not is_unicode(value)]
    if odd:
        raise UserError(
            [f"{uri}, row {n}: {value!r} is not Unicode text. Rename it." for n, value in odd[:20]]
        )
    return pa.array(values, pa.string())


def mapped(
    cells: pa.Array, change: Callable[[Any], Any], kind: pa.DataType | None = None
) -> pa.Array:
    """Returns `change(cell)` of each cell, called once for each distinct value. kind: the type of
    the results, by default string."""
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    encoded = cells.dictionary_encode(null_encoding="encode")
    values = [change(value) for value in encoded.dictionary.to_pylist()]
    return pa.array(values, kind or pa.string()).take(encoded.indices)


def other_cells(rows: Rows, roles: Collection[str]) -> list[dict[str, Any]] | None:
    """Returns, for each row, its cells that are not empty in columns other than `roles`; None if
    there are no other columns."""
    if isinstance(rows, pa.Table):
        others = [name for name in rows.column_names if name not in roles]
        if not others:
            return None
        rows = rows.select(others).to_pylist()
    return [{k: v for k, v in row.items() if k not in roles and _text(v)} for row in rows]


def _text(value: Any) -> str:
    """Returns a cell as text, "" for an empty one. 3.0 becomes "3", since pandas converts a column
    of whole numbers with gaps to floats."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _read_jsonl(uri: str, problems: list[str]) -> list[dict[str, Any]]:
    rows = []
    broken = []
    for number, line in lines.read_lines(uri, problems):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            broken.append(f"{uri}, line {number}: is not valid JSON ({error.msg}).")
            continue
        except (ValueError, RecursionError) as error:  # too many digits or nested brackets
            broken.append(f"{uri}, line {number}: cannot be read as JSON ({error}).")
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            broken.append(f"{uri}, line {number}: is not a JSON object {{...}}.")
    lines.report_broken(uri, broken, problems)
    return rows


def _read_parquet(uri: str, problems: list[str]) -> pa.Table:
    try:
        table = storage.read_parquet(uri)
    except (OSError, pa.ArrowException) as error:
        problems.append(f"{uri}: cannot be read as Parquet ({error}).")
        return pa.table({})
    kept = [
        field.name
        for field in table.schema
        if not lines.UNNAMED_COLUMN.fullmatch(field.name) and not holds_bytes(field.type)
    ]
    return table.select(kept)
