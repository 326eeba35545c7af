"""Finds the column with the splits of a user's table, and refuses one that only looks like it."""

import re
from collections import Counter

import pyarrow.compute as pc

from gist_ray.datasets.rows import Rows, column_names, texts
from gist_ray.datasets.split_names import split_of
from gist_ray.errors import listed

NAMED_LIKE_SPLITS = re.compile(
    r"(data_?)?(set|split|subset|partition|phase|usage|fold)s?(_?name|_?id)?"
    r"|.*_split|split_.*|train_?(val_?)?test|is_?(train|test|val|valid)\w*",
    re.IGNORECASE,
)
MOST_SPLITS = 20
"""A column with more values than these is none of splits, whatever its name."""


def find_split_column(uri: str, rows: Rows, name: str, *, problems: list[str]) -> str:
    """Returns the column called `name`, whatever its case and the white space around it; "" if
    there is none.

    Adds a problem for several such columns, and for a column that seems to hold splits under
    another name: if it were overlooked, test images would be trained on.
    """
    columns = column_names(rows)
    if name in columns:
        return name
    alike = [column for column in columns if column.strip().casefold() == name.casefold()]
    if len(alike) > 1:
        problems.append(
            f"{uri}: the columns {listed(alike)} differ only in case or white space. Set "
            "split_column to one of them."
        )
    if alike:
        return alike[0]
    for column in columns:
        if values := _splits_in(uri, rows, column):
            counted = ", ".join(f"{value!r} {count:,}" for value, count in values.most_common(5))
            problems.append(
                f"{uri}: the column {column!r} ({counted}) looks like the data set's splits. Set "
                f"split_column={column}, with split_names={{...}} for values other than train, val "
                "and test; or set split_column to '' and splits are drawn."
            )
    return ""


def _splits_in(uri: str, rows: Rows, column: str) -> Counter[str]:
    """Returns the values of a column that looks like one of splits; nothing for another one."""
    counts = pc.value_counts(texts(uri, rows, column))
    if len(counts) > MOST_SPLITS + 1:
        return Counter()
    values = Counter({row["values"]: row["counts"] for row in counts.to_pylist() if row["values"]})
    if not 1 < len(values) <= MOST_SPLITS:
        return Counter()
    meant = {split_of(value) for value in values}
    are_splits = "train" in meant and "" not in meant and len(meant) > 1
    is_named_so = NAMED_LIKE_SPLITS.fullmatch(column.strip()) is not None
    return values if are_splits or is_named_so else Counter()
