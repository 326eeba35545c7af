"""The reader of WebDataset tars, in which 0001.jpg, 0001.cls, 0001.json and 0001.txt are one
sample."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import Reading
from gist_ray.datasets.rows import Rows
from gist_ray.datasets.shard_files import common_folder, find_files, index_of, splits_of
from gist_ray.datasets.user_manifest import rows_to_reading
from gist_ray.images.tar_index import index_tar
from gist_ray.schema import error_row, stable_ids

ID = "image_id of the sample"


def read_webdataset(config: DataConfig, indices: str) -> Reading:
    """Returns the samples of the tars that `config.path` matches, in their order.

    A sample is a row, to which the column settings apply: `label` is its .cls (an index or a name),
    `txt` its text, and each field of its .json a column. `split` is the split with which the tar's
    name begins, if all names begin with one. indices: the folder of the tars' indexes.
    """
    files = find_files(config.path, ".tar")
    root = common_folder(files)
    names = [file.removeprefix(root + "/") for file in files]
    tables = index_of(files, index_tar, kind="webdataset 2", folder=indices)
    splits = splits_of(names, config) or [""] * len(files)
    errors = []
    samples = []
    for file, name, split, table in zip(files, names, splits, tables, strict=True):
        is_bad = pc.not_equal(table.column("kind"), "")
        for row in table.filter(is_bad).to_pylist():
            place = f"{name}/{row['name']}" if row["name"] else name
            errors.append(error_row(place, file, kind=row["kind"], message=row["message"]))
        good = table.filter(pc.invert(is_bad))
        inside = pc.binary_join_element_wise(name, good.column("name"), "/")
        good = good.append_column("place", inside)
        samples.append(good.append_column("split", pa.repeat(split, len(good))))
    found = pa.concat_tables(samples).combine_chunks()
    rows = _rows(found)
    columns = replace(config, image_column="image", id_column=config.id_column or ID)
    reading = rows_to_reading(root, rows, columns, root=root, places=found.column("place"))
    return replace(reading, errors=errors + reading.errors)


def _rows(found: pa.Table) -> Rows:
    given = {"image": "image", "cls": "label", "txt": "txt", "split": "split"}
    used = [c for c in given if c == "image" or pc.any(pc.not_equal(found[c], "")).as_py()]
    table = found.select(used).rename_columns([given[column] for column in used])
    ids = stable_ids(found.column("place").to_pylist())
    table = table.append_column(ID, pa.array(ids, pa.string()))
    if not pc.any(pc.not_equal(found.column("json"), "")).as_py():
        return table
    fields: Sequence[str] = found.column("json").to_pylist()
    return [
        {**json.loads(text or "{}"), **row}
        for text, row in zip(fields, table.to_pylist(), strict=True)
    ]
