"""The reader of a user's table: CSV, Parquet or JSONL, one row per image.

Paths are relative to the table's folder, absolute, or URIs. A row without a path, class or split
becomes an error row. A table with contradictory rows is an error.
"""

import dataclasses
import json
import re
from collections import defaultdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import (
    IMAGES,
    ClassEntry,
    Reading,
    parent,
    relative_paths,
)
from gist_ray.datasets.rows import Rows, column_names, mapped, other_cells, read_rows, texts
from gist_ray.datasets.split_column import find_split_column
from gist_ray.datasets.split_names import split_of
from gist_ray.datasets.splits import to_draw
from gist_ray.errors import UserError, listed
from gist_ray.schema import error_row
from gist_ray.store import storage

DEFAULT_COLUMNS = {
    field.name: field.default
    for field in dataclasses.fields(DataConfig)
    if field.name.endswith("_column")
}


def read_user_manifest(config: DataConfig) -> Reading:
    """Returns the rows of the table `config.path`.

    Raises UserError with every broken line, missing column and label with two names.
    """
    uri = storage.absolute(config.path)
    problems: list[str] = []
    rows = read_rows(uri, problems)
    if problems:
        raise UserError(problems)
    return rows_to_reading(uri, rows, config)


def rows_to_reading(
    uri: str,
    rows: Rows,
    config: DataConfig,
    *,
    root: str = "",
    places: pa.ChunkedArray | None = None,
) -> Reading:
    """Returns the rows of a table at `uri` as a data set, by the column names in `config`.

    root: the folder to which paths are relative; "" for the table's folder. places: the names of
    the rows in messages, by default "row 1", "row 2" ...

    Raises UserError for missing columns and for labels with two names.
    """
    root = root or parent(uri)
    class_column, label_column, split_column = _columns_present(uri, rows, config)
    key_column = label_column or class_column

    def cells(column: str, absent: str = "") -> pa.Array:
        return texts(uri, rows, column) if column else pa.repeat(absent, len(rows))

    def meaning_of_split(cell: str) -> str:
        return split_of(cell, config.split_names) if split_column else cell

    splits = mapped(cells(split_column, "train"), str.strip)
    if places is None:
        numbers = pa.array(range(1, len(rows) + 1), pa.int64()).cast(pa.string())
        places = pc.binary_join_element_wise("row", numbers, " ")
    found = pa.table(
        {
            "place": places,
            "number": pa.array(range(1, len(rows) + 1), pa.int64()),
            "path": cells(config.image_column),
            "image_id": cells(config.id_column),
            "given_split": splits,
            "split": mapped(splits, meaning_of_split),
            "key": mapped(cells(key_column), str.strip),
            "name": mapped(cells(class_column or key_column), str.strip),
            "group": mapped(cells(config.group_column), lambda text: text.strip() or None),
        }
    )
    needed = {"path": config.image_column, "given_split": split_column}
    needed |= {"image_id": config.id_column, "key": key_column}
    is_bad, errors = _bad_rows(uri, found, needed)
    others = other_cells(rows, {*needed.values(), class_column, label_column, config.group_column})
    if errors:
        found = found.filter(pc.invert(is_bad))
        if others is not None:
            bad = is_bad.to_pylist()
            others = [cells for cells, is_bad in zip(others, bad, strict=True) if not is_bad]
    classes, label_of = _classes(uri, found, config.class_column)
    images = pa.table(
        [
            relative_paths(root, found.column("path")),
            mapped(found.column("key"), label_of.get, pa.int32()),
            found.column("split"),
            found.column("group"),
            _attributes(found.column("key"), label_of, label_column=label_column, others=others),
            pc.binary_join_element_wise(uri, found.column("place"), ", "),
            found.column("image_id"),
        ],
        schema=IMAGES,
    )
    given = pc.unique(images.column("split")).to_pylist()
    return Reading(root, classes, images, errors, drawn=to_draw(given, config))


def _columns_present(uri: str, rows: Rows, config: DataConfig) -> tuple[str, str, str]:
    """Returns the class, label and split columns, "" for one that the table does not have. Raises
    UserError for a missing column that is needed."""
    if not len(rows):
        raise UserError(f"{uri}: has no rows.")
    columns = column_names(rows)
    has = f"It has the columns {listed(columns, 30)}."
    problems: list[str] = []
    present = {}
    for setting, default in DEFAULT_COLUMNS.items():
        column = getattr(config, setting)
        if setting == "split_column" and column == default:
            present[setting] = find_split_column(uri, rows, column, problems=problems)
            continue
        present[setting] = column if column in columns else ""
        # a column may be absent if its setting has the default name
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


def _bad_rows(
    uri: str, found: pa.Table, needed: dict[str, str]
) -> tuple[pa.ChunkedArray, list[dict[str, str]]]:
    """Returns which rows are unusable, and the reasons as rows of an ERRORS table.

    needed: {column of `found`: its name in the user's table, "" if that does not have it}.
    """
    is_empty = {
        column: pc.equal(pc.utf8_trim_whitespace(found.column(column)), "")
        for column, name in needed.items()
        if name
    }
    unlabeled = pc.equal(found.column("split"), "unlabeled")
    is_empty["key"] = pc.and_not(is_empty["key"], unlabeled)
    is_bad = pc.equal(found.column("split"), "")
    for empty in is_empty.values():
        is_bad = pc.or_(is_bad, empty)
    bad = pa.table({**is_empty, "place": found["place"], "split": found["given_split"]})
    errors = []
    for row in bad.filter(is_bad).to_pylist():
        place = row["place"]
        empty = [needed[column] for column in is_empty if row[column]]
        if empty:
            columns = ", ".join(map(repr, empty))
            message = f"{place}, column {columns}: is empty. Fill it in."
            errors.append(error_row(place, uri, kind="missing", message=message))
        else:
            message = (
                f"{place}, column {needed['given_split']!r}: {row['split']!r} is no split. "
                "Use train, val, test, unlabeled, or test/NAME with letters, digits, dots, dashes "
                "and underscores; or say what it means in split_names."
            )
            errors.append(error_row(place, uri, kind="bad_split", message=message))
    return is_bad, errors


def _classes(
    uri: str, found: pa.Table, class_column: str
) -> tuple[list[ClassEntry], dict[str, int]]:
    """Returns the classes in the order of their keys, and {key: label}. Raises UserError for keys
    with several names."""
    groups = found.group_by(["key", "name"]).aggregate([("number", "min")])
    names: dict[str, dict[str, int]] = defaultdict(dict)
    for row in groups.sort_by("number_min").to_pylist():
        if row["key"]:
            of_key = names[row["key"]]
            if row["name"]:
                of_key[row["name"]] = row["number_min"]
    keys = _ordered(set(names))
    problems = []
    for key in keys:
        if len(names[key]) > 1:
            seen = [f"{name!r} (row {number})" for name, number in names[key].items()]
            problems.append(
                f"{uri}: the label {key!r} has several names: {', '.join(seen[:5])}. "
                f"Give it one name in column {class_column!r}."
            )
    if problems:
        raise UserError(problems)
    classes = [ClassEntry((key, *names[key]), next(iter(names[key]), None)) for key in keys]
    return classes, {key: label for label, key in enumerate(keys)}


def _ordered(keys: set[str]) -> list[str]:
    # not more digits than int() takes
    if all(re.fullmatch(r"-?[0-9]{1,18}", key) for key in keys):
        return sorted(keys, key=lambda key: (int(key), key))
    return sorted(keys)


def _attributes(
    keys: pa.ChunkedArray,
    label_of: dict[str, int],
    *,
    label_column: str,
    others: list[dict[str, Any]] | None,
) -> pa.Array:
    """Returns the attributes as JSON: the other cells, and the user's label if it differs from the
    manifest's."""

    def of_key(key: str) -> dict[str, str]:
        known = label_column and key and key != str(label_of[key])
        return {label_column: key} if known else {}

    if others is None:
        return mapped(keys, lambda key: json.dumps(of_key(key)))
    return pa.array(
        [
            json.dumps({**cells, **of_key(key)}, default=str)
            for cells, key in zip(others, keys.to_pylist(), strict=True)
        ],
        pa.string(),
    )
