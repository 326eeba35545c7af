"""The reader of Parquet files with the images' bytes, as Hugging Face's datasets are published."""

from dataclasses import replace
from functools import partial

import pyarrow as pa

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import Reading
from gist_ray.datasets.shard_files import common_folder, find_files, index_of, splits_of
from gist_ray.datasets.user_manifest import rows_to_reading
from gist_ray.errors import UserError
from gist_ray.images.parquet_index import REFERENCE, index_parquet, name_column
from gist_ray.schema import stable_ids

ID = "image_id of the row"


def read_parquet_images(config: DataConfig, indices: str) -> Reading:
    """Returns the rows of the files that `config.path` matches, in their order.

    The column settings name the class, the label and the split. A ClassLabel gives the class names.
    Without a split column, the split is that with which the file's name begins, if all names begin
    with one. indices: the folder of the files' indexes.
    """
    files = find_files(config.path, ".parquet")
    root = common_folder(files)
    names = [file.removeprefix(root + "/") for file in files]
    make = partial(index_parquet, image_column=config.image_column)
    tables = index_of(files, make, kind=f"parquet {config.image_column}", folder=indices)
    splits = splits_of(names, config)
    for number, name in enumerate(names):
        places = [f"{name}/{row}" for row in range(len(tables[number]))]
        tables[number] = (
            tables[number]
            .append_column("place", pa.array(places, pa.string()))
            .append_column(ID, pa.array(stable_ids(places), pa.string()))
        )
        if splits and config.split_column not in tables[number].column_names:
            of_file = pa.repeat(splits[number], len(places))
            tables[number] = tables[number].append_column(config.split_column, of_file)
    try:
        found = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(f"{root}: its files differ in their columns ({error}).") from error
    columns = replace(config, image_column=REFERENCE, id_column=config.id_column or ID)
    of_label = name_column(config.label_column)
    if config.class_column not in found.column_names and of_label in found.column_names:
        columns = replace(columns, class_column=of_label)
    rows = found.drop_columns(["place"])
    return rows_to_reading(root, rows, columns, root=root, places=found.column("place"))
