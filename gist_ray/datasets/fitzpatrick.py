"""The readers of Fitzpatrick17k and GIST's Fitzpatrick40: CSV files, whose pictures the user has to
download."""

import posixpath
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gist_ray.datasets import lines
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import Reading, check_image_folder, parent
from gist_ray.datasets.user_manifest import rows_to_reading
from gist_ray.errors import UserError
from gist_ray.store import storage


def read_fitzpatrick17k(config: DataConfig) -> Reading:
    """Returns the rows of fitzpatrick17k.csv: 114 conditions in alphabetical order, seeded splits.

    The picture of a row is `<images>/<md5hash>.jpg`.
    """
    uri, rows = _rows(config, "fitzpatrick17k.csv", ["md5hash", "label"])
    for row in rows:
        name = row["md5hash"].strip()
        row["image"] = posixpath.join(config.images, f"{name}.jpg") if name else ""
    columns = replace(
        config, image_column="image", class_column="label", label_column="", split_column=""
    )
    return rows_to_reading(uri, rows, columns)


def read_fitzpatrick40(config: DataConfig) -> Reading:
    """Returns the rows of GIST's metadata.csv: 40 conditions with GIST's corrected names, labels
    and splits.

    The picture of a row is `filename`, or the file of that name in `images` if that is set.
    """
    uri, rows = _rows(config, "metadata.csv", ["filename", "species", "label", "split"])
    if config.images:
        for row in rows:
            name = posixpath.basename(row["filename"])
            row["filename"] = posixpath.join(config.images, name) if name else ""
    columns = replace(
        config,
        image_column="filename",
        class_column="species",
        label_column="label",
        split_column="split",
    )
    return rows_to_reading(uri, rows, columns)


def _rows(
    config: DataConfig, file: str, columns: Iterable[str]
) -> tuple[str, list[dict[str, Any]]]:
    uri = storage.absolute(config.path)
    if not uri.lower().endswith(".csv"):
        uri = storage.join(uri, file)
    problems: list[str] = []
    rows = lines.read_csv(uri, problems).to_pylist()
    for column in columns:
        if rows and column not in rows[0]:
            problems.append(f"{uri}: there is no column {column!r}. Is this {file}?")
    check_image_folder(parent(uri), config.images, problems)
    if problems:
        raise UserError(problems)
    return uri, rows
