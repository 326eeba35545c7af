"""The rows to pack, written shard by shard; the names of a folder's pictures never lie in memory
all at once.

    <work>/names/000000.parquet   pictures of a folder as they are listed, 50,000 to a file
    <work>/rows/000000.parquet    ROWS of a shard
    <work>/source.json            written last: how many shards and images there are
    <work>/errors.parquet         what could not be listed
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.image_folder import (
    Folders,
    Meaning,
    class_folders,
    find_pictures,
    label_paths,
    outside_classes,
    pictures_and_errors,
)
from gist_ray.datasets.ingest import (
    check_there,
    counts_of_splits,
    display_names,
    image_ids,
    name_problems,
    no_usable_image,
    read_checked,
    split_problems,
    to_manifest,
)
from gist_ray.datasets.packing.shard import ROWS
from gist_ray.datasets.splits import complete_splits
from gist_ray.errors import UserError
from gist_ray.run.progress import Progress
from gist_ray.schema import ERRORS, table
from gist_ray.store import storage

STAGE = "list images"


def write_source(
    config: DataConfig, images_per_shard: int, work: str, progress: Progress
) -> dict[str, Any]:
    """Write the rows of every shard below `work`; returns {shards, images}. What is there already
    is not made again.

    Raises UserError for a data set that cannot be read.
    """
    done = storage.join(work, "source.json")
    if storage.exists(done):
        found: dict[str, Any] = storage.read_json(done)
        return found
    check_there(config)
    meaning = _list_folder(config, work, progress) if config.layout == "image_folder" else None
    errors: list[dict[str, str]] = []
    if meaning is None:
        tables = _rows_at_once(config, storage.join(work, "indices"), errors)
    else:
        tables = _rows_by_class(config, meaning, work, errors)
    num_shards = num_images = 0
    for rows in _slices(tables, images_per_shard):
        storage.write_parquet(rows_file(work, num_shards), rows)
        num_shards += 1
        num_images += len(rows)
    storage.write_parquet(storage.join(work, "errors.parquet"), table(errors, ERRORS))
    counts = {"shards": num_shards, "images": num_images}
    storage.write_json(done, counts)
    progress.say(STAGE, f"done: {num_images:,} images in {num_shards:,} shards")
    return counts


def rows_file(work: str, shard: int) -> str:
    return storage.join(work, "rows", f"{shard:06d}.parquet")


def _list_folder(config: DataConfig, work: str, progress: Progress) -> Meaning | None:
    """List a folder's pictures to files, going on behind the last one that is there; returns what
    its folders mean, or None where the training images of a class do not lie together."""
    root = storage.absolute(config.path)
    number, last = 0, ""
    seen = Folders()
    for found in _listed(work):
        seen.add(pictures_and_errors(root, found)[0])
        number, last = number + 1, found.column("path")[-1].as_py()
    for found in find_pictures(root, after=last):
        storage.write_parquet(_names_file(work, number), found)
        seen.add(pictures_and_errors(root, found)[0])
        number += 1
        progress.say(STAGE, f"{found.column('path')[-1].as_py()} and all before it")
    meaning = seen.meaning(root)
    train_folders = {folder for folder, _ in seen.second if folder.lower() == "train"}
    return None if meaning.has_splits and len(train_folders) > 1 else meaning


def _names_file(work: str, number: int) -> str:
    return storage.join(work, "names", f"{number:06d}.parquet")


def _listed(work: str) -> Iterator[pa.Table]:
    number = 0
    while storage.exists(_names_file(work, number)):
        yield storage.read_parquet(_names_file(work, number))
        number += 1


def _rows_by_class(
    config: DataConfig, meaning: Meaning, work: str, errors: list[dict[str, str]]
) -> Iterator[pa.Table]:
    """ROWS of one class folder after another. Raises UserError as `ingest` does."""
    root = storage.absolute(config.path)
    problems: list[str] = []
    names = display_names(
        root, meaning.class_entries(), class_names=config.class_names, problems=problems
    )

    def labelled() -> Iterator[pa.Table]:
        for paths in _classes(root, meaning, work, errors):
            yield complete_splits(label_paths(paths, meaning), config, meaning.splits)

    counts = counts_of_splits([])
    for images in labelled():
        for label, of_label in counts_of_splits([images]).items():
            counts[label] += of_label
        if not problems:
            yield _to_rows(root, images, image_ids(images), names)
    problems += name_problems(root, names)
    problems += split_problems(root, meaning.class_entries(), counts)
    if not counts:
        problems = [no_usable_image(root, errors)]
    if problems:
        raise UserError(problems)


def _classes(
    root: str, meaning: Meaning, work: str, errors: list[dict[str, str]]
) -> Iterator[pa.ChunkedArray]:
    """The paths of one class folder after another, as they were listed."""
    waiting: list[pa.Array] = []
    last = None
    for found in _listed(work):
        paths, bad = pictures_and_errors(root, found)
        errors += bad + outside_classes(root, paths, meaning)
        folders = class_folders(paths, meaning)
        paths, folders = paths.filter(pc.is_valid(folders)), folders.drop_null()
        codes = folders.combine_chunks().dictionary_encode().indices.to_numpy()
        edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
        for start, end in pairwise(edges if len(codes) else []):
            if waiting and folders[start].as_py() != last:
                yield pa.chunked_array(waiting)
                waiting = []
            last = folders[start].as_py()
            waiting += paths.slice(start, end - start).chunks
    if waiting:
        yield pa.chunked_array(waiting)


def _rows_at_once(
    config: DataConfig, indices: str, errors: list[dict[str, str]]
) -> Iterator[pa.Table]:
    """ROWS of a data set whose files say everything at once."""
    found = read_checked(config, indices)
    errors += found.errors
    yield _to_rows(found.root, found.images, found.ids, found.names)


def _to_rows(root: str, images: pa.Table, ids: pa.Array, names: list[str]) -> pa.Table:
    rows = to_manifest(root, images, ids=ids, names=names)
    return rows.append_column(ROWS.field("name"), images.column("path"))


def _slices(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """The rows of all tables in tables of `size`, the last one with what is left."""
    waiting: list[pa.Table] = []
    for rows in tables:
        waiting.append(rows)
        if sum(map(len, waiting)) >= size:
            joined = pa.concat_tables(waiting)
            whole = len(joined) - len(joined) % size
            for start in range(0, whole, size):
                yield joined.slice(start, size).combine_chunks()
            waiting = [joined.slice(whole)]
    rest = pa.concat_tables(waiting) if waiting else ROWS.empty_table()
    if len(rest):
        yield rest.combine_chunks()
