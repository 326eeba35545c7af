"""A table of the user's own: CSV, Parquet or JSONL, one row per image.

Paths are relative to the table's folder, absolute, or URIs. A row that lacks its path, class or
split becomes an error row; a table that contradicts itself is refused.
"""

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from gist_ray import storage
from gist_ray.datasets import lines
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import (
    SPLIT_NAMES,
    ClassEntry,
    LabelledImage,
    Reading,
    error_row,
    listed,
    parent,
    relative_path,
)
from gist_ray.datasets.splits import complete_splits
from gist_ray.errors import UserError

DEFAULT_COLUMNS = {
    field.name: field.default
    for field in dataclasses.fields(DataConfig)
    if field.name.endswith("_column")
}


def read_user_manifest(config: DataConfig) -> Reading:
    """The rows of the table `config.path`.

    Raises UserError with every broken line, missing column and label with two names.
    """
    uri = storage.absolute(config.path)
    problems: list[str] = []
    suffix = uri.rpartition(".")[2].lower()
    if suffix == "csv":
        rows = lines.read_csv_rows(uri, problems)
    elif suffix in ("jsonl", "ndjson"):
        rows = _read_jsonl(uri, problems)
    elif suffix == "parquet":
        rows = _read_parquet(uri, problems)
    else:
        raise UserError(f"{uri}: a manifest is a file that ends in .csv, .parquet or .jsonl.")
    if problems:
        raise UserError(problems)
    return rows_to_reading(uri, rows, config)


def rows_to_reading(uri: str, rows: Sequence[Mapping[str, Any]], config: DataConfig) -> Reading:
    """Rows of a table at `uri` as a data set, by the column names in `config`.

    Raises UserError for missing columns and for labels with two names.
    """
    class_column, label_column, split_column = _columns_present(uri, rows, config)
    root = parent(uri)
    key_column = label_column or class_column
    roles = {config.image_column, class_column, label_column, split_column, config.id_column}
    errors: list[dict[str, str]] = []
    names: dict[str, dict[str, int]] = defaultdict(dict)
    found: list[tuple[int, Mapping[str, Any], str, str]] = []
    for number, row in enumerate(rows, 1):
        split_text = _text(row.get(split_column)).strip() if split_column else "train"
        split = SPLIT_NAMES.get(split_text.lower(), "")
        key = _text(row.get(key_column)).strip()
        needed = [config.image_column, split_column, config.id_column]
        if split != "unlabeled":
            needed.append(key_column)
        empty = [name for name in needed if name and not _text(row.get(name)).strip()]
        if empty:
            message = f"row {number}, column {', '.join(map(repr, empty))}: is empty. Fill it in."
            errors.append(error_row(f"row {number}", uri, "missing", message))
        elif not split:
            message = (
                f"row {number}, column {split_column!r}: {split_text!r} is no split. "
                "Use train, val, test or unlabeled."
            )
            errors.append(error_row(f"row {number}", uri, "bad_split", message))
        else:
            name = _text(row.get(class_column)).strip() if class_column else key
            if key and name:
                names[key].setdefault(name, number)
            found.append((number, row, split, key))

    keys = _ordered({key for *_, key in found if key})
    label_of = {key: label for label, key in enumerate(keys)}
    classes = []
    problems = []
    for key in keys:
        if len(names[key]) > 1:
            seen = [f"{name!r} (row {number})" for name, number in names[key].items()]
            problems.append(
                f"{uri}: the label {key!r} has several names: {', '.join(seen[:5])}. "
                f"Give it one name in column {class_column!r}."
            )
        classes.append(ClassEntry((key, *names[key]), next(iter(names[key]), None)))
    if problems:
        raise UserError(problems)

    images = []
    for number, row, split, key in found:
        attributes = {k: v for k, v in row.items() if k not in roles and _text(v)}
        if label_column and key and key != str(label_of[key]):
            attributes[label_column] = key
        images.append(
            LabelledImage(
                path=relative_path(root, _text(row[config.image_column])),
                label=label_of[key] if key else None,
                split=split,
                attributes=attributes,
                where=f"{uri}, row {number}",
                image_id=_text(row[config.id_column]) if config.id_column else "",
            )
        )
    return Reading(root, classes, complete_splits(images, config), errors)


def _columns_present(
    uri: str, rows: Sequence[Mapping[str, Any]], config: DataConfig
) -> tuple[str, str, str]:
    """The class, label and split columns, "" for one that the table does not have."""
    if not rows:
        raise UserError(f"{uri}: has no rows.")
    columns = {column: None for row in rows for column in row}
    has = f"It has the columns {listed(columns, 30)}."
    problems = []
    present = {}
    for setting, default in DEFAULT_COLUMNS.items():
        column = getattr(config, setting)
        present[setting] = column if column in columns else ""
        # a column that was not asked for by name may be absent, one that was may not
        required = setting == "image_column" or column != default
        if column and not present[setting] and required:
            problems.append(f"{uri}: there is no column {column!r}. {has} Set {setting}.")
    if not problems and not present["class_column"] and not present["label_column"]:
        problems.append(
            f"{uri}: there is no column {config.class_column!r} and no column "
            f"{config.label_column!r}. {has} Set class_column or label_column."
        )
    if problems:
        raise UserError(problems)
    return present["class_column"], present["label_column"], present["split_column"]


def _text(value: Any) -> str:
    """A cell as text: "" for nothing, and 3.0, which pandas makes of 3 beside a gap, as "3"."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _ordered(keys: set[str]) -> list[str]:
    if all(re.fullmatch(r"-?[0-9]+", key) for key in keys):
        return sorted(keys, key=lambda key: (int(key), key))
    return sorted(keys)


def _read_jsonl(uri: str, problems: list[str]) -> list[dict[str, Any]]:
    rows = []
    broken = []
    for number, line in lines.read_lines(uri, problems):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            broken.append(f"{uri}, line {number}: is not valid JSON ({error.msg}).")
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            broken.append(f"{uri}, line {number}: is not a JSON object {{...}}.")
    lines.report_broken(uri, broken, problems)
    return rows


def _read_parquet(uri: str, problems: list[str]) -> list[dict[str, Any]]:
    try:
        table = storage.read_parquet(uri)
    except (OSError, pa.ArrowInvalid) as error:
        problems.append(f"{uri}: cannot be read as Parquet ({error}).")
        return []
    kept = [
        field.name
        for field in table.schema
        if not lines.UNNAMED_COLUMN.fullmatch(field.name) and not _holds_bytes(field.type)
    ]
    rows: list[dict[str, Any]] = table.select(kept).to_pylist()
    return rows


def _holds_bytes(kind: pa.DataType) -> bool:
    """Whether cells are pictures themselves, as in Hugging Face's image columns."""
    if pa.types.is_struct(kind):
        return any(_holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
