"""Slices: the images of a test set that have the same value of an attribute."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.errors import listed
from gist_ray.schema import is_test

GROUP = "group"
"""The name under which the manifest's column `group` is an attribute."""

MISSING = "(missing)"
"""Stands for the value in the name of the slice of images that have none."""

MIN_IMAGES = 20
"""Fewer images than this are too few to say anything of (our choice): the interval of half of them
being right would be 44 points wide."""

MAX_VALUES = 30
"""Most values of an attribute (our choice). With more, the lowest of them is low by luck alone."""

MOST_NAMES = 20


@dataclass(frozen=True)
class Slice:
    """value: None where the images have none. rows: (num_images,) of the given images."""

    attribute: str
    value: str | None
    rows: np.ndarray

    @property
    def name(self) -> str:
        """Returns its name in the column `slice` of METRICS, such as "site=Berlin"."""
        return f"{self.attribute}={MISSING if self.value is None else self.value}"


def slices_of(
    manifest: pa.Table, image_ids: pa.ChunkedArray, attributes: Sequence[str]
) -> list[Slice]:
    """Returns the slices of these images of a MANIFEST, by attribute in the given order, then by
    value: numbers rising, then texts, images without a value last. Together the slices of an
    attribute are all images."""
    if not attributes:
        return []
    ids = manifest.column("image_id").combine_chunks()
    images = manifest.take(pc.index_in(image_ids.combine_chunks(), value_set=ids))
    slices = []
    for attribute, values in _values(images, attributes).items():
        rows: dict[str | None, list[int]] = {}
        for row, value in enumerate(values):
            rows.setdefault(value, []).append(row)
        slices += [Slice(attribute, value, np.array(rows[value])) for value in _ordered(rows)]
    return slices


def slice_problems(manifest: pa.Table, attributes: Sequence[str]) -> list[str]:
    """Returns why the test images of a MANIFEST cannot be told apart by some of `attributes`: they
    do not have it, or too many values of it."""
    if not attributes:
        return []
    test = manifest.filter(is_test(manifest.column("split")))
    cells = map(json.loads, test.column("attributes").to_pylist())
    known = sorted({name for cell in cells for name in cell})
    if test.column(GROUP).null_count < len(test) and GROUP not in known:
        known.append(GROUP)
    problems = []
    for attribute, values in _values(test, attributes).items():
        different = _ordered(set(values) - {None})
        if not different:
            problems.append(
                f"evaluation.slices: no test image has the attribute {attribute!r}. They have "
                f"{listed(known, MOST_NAMES) or 'none'}."
            )
        elif len(different) > MAX_VALUES:
            problems.append(
                f"evaluation.slices: {attribute!r} has {len(different):,} values in the test "
                f"images ({listed(different, 3)}), and {MAX_VALUES} are the most that are told "
                "apart. Put a column of ranges or kinds (such as 20-39, 40-59) into the data set's "
                "table, and name that."
            )
    return problems


def _values(images: pa.Table, attributes: Sequence[str]) -> dict[str, list[str | None]]:
    """Returns the value of each image for each attribute."""
    cells: list[Mapping[str, Any]] = [
        json.loads(text) for text in images.column("attributes").to_pylist()
    ]
    groups = images.column(GROUP).to_pylist()
    return {
        attribute: [
            _text(group if attribute == GROUP and group is not None else cell.get(attribute))
            for cell, group in zip(cells, groups, strict=True)
        ]
        for attribute in attributes
    }


def _text(value: Any) -> str | None:
    """Returns a value as text: 3.0 as "3", for tables with gaps turn whole numbers into floats;
    None for null, NaN, blanks and MISSING."""
    if isinstance(value, str):
        return None if value.strip() in ("", MISSING) else value.strip()
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def _ordered(values: Any) -> list[Any]:
    def place(value: str | None) -> tuple[int, float, str]:
        if value is None:
            return 2, 0.0, ""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        return (0, number, value) if math.isfinite(number) else (1, 0.0, value)

    return sorted(values, key=place)
