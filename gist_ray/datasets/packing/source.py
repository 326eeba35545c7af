"""The rows to pack, stored shard by shard; the names of a folder's pictures are never in memory
all at once.

    <artifact>/names/000000.parquet   pictures of a folder as they are listed, 50,000 to a file
    <artifact>/rows/000000.parquet    ROWS of a shard
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.alike import alike_problems
from gist_ray.datasets.checks import name_problems, no_usable_image, split_problems
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.copies import needs_all_pictures
from gist_ray.datasets.folders import Folders, LeftOut, Meaning
from gist_ray.datasets.image_folder import (
    class_folders,
    find_pictures,
    label_paths,
    outside_classes,
    pictures_and_errors,
)
from gist_ray.datasets.ingest import (
    display_names,
    image_ids,
    read_checked,
    to_manifest,
)
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.datasets.packing.shard import ROWS
from gist_ray.datasets.splits import complete_splits, counts_of_splits, to_draw
from gist_ray.errors import UserError
from gist_ray.run.progress import Progress
from gist_ray.schema import ERRORS, table
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactWriter

NAMES = "names"
ROWS_FOLDER = "rows"
INDICES = "indices"
"""Folders of the artifact."""


def write_rows(config: PackConfig, writer: ArtifactWriter, progress: Progress) -> None:
    """Stores ROWS of every shard as a part, and counts in what could not be listed.

    The listing of a folder goes on where a killed one was. Raises UserError for a data set that
    cannot be read; nothing of it is kept then, for its owner has to mend it.
    """
    source = _Source(config.data, writer.uri)
    try:
        for number, rows in enumerate(_slices(_tables(source, progress), config.images_per_shard)):
            writer.write(rows, rows_part(f"{number:06d}"))
    except UserError:
        for name in (NAMES, ROWS_FOLDER, INDICES):
            storage.delete(writer.file(name))
        raise
    writer.add_errors(table(source.errors, ERRORS))
    writer.leftovers |= {NAMES, INDICES}


def rows_part(shard: str) -> str:
    """Returns the name of the part with the ROWS of a shard."""
    return f"{ROWS_FOLDER}/{shard}.parquet"


@dataclass(frozen=True)
class _Source:
    """A data set that is listed to the folder `work`, and the errors found on the way."""

    config: DataConfig
    work: str
    errors: list[dict[str, str]] = field(default_factory=list)


def _tables(source: _Source, progress: Progress) -> Iterator[pa.Table]:
    """ROWS of the whole data set, in tables of any size."""
    is_folder = source.config.layout == "image_folder"
    meaning = _list_folder(source, progress) if is_folder else None
    return _rows_at_once(source) if meaning is None else _rows_by_class(source, meaning)


def _list_folder(source: _Source, progress: Progress) -> Meaning | None:
    """List a folder's pictures to files, going on behind the last one that is there; returns what
    its folders mean, or None where the rows of a class cannot be made from its own pictures: its
    training images do not lie together, or all pictures have to be known for their copies."""
    root, work = storage.absolute(source.config.path), source.work
    number, last = 0, ""
    seen, left_out = Folders(), LeftOut()
    for found in _listed(work):
        seen.add(pictures_and_errors(root, found)[0])
        number, last = number + 1, found.column("path")[-1].as_py()
    follow = source.config.follow_links
    for found in find_pictures(root, after=last, follow_links=follow, left_out=left_out):
        storage.write_parquet(_names_file(work, number), found)
        seen.add(pictures_and_errors(root, found)[0])
        number += 1
        progress.say("list images", f"{found.column('path')[-1].as_py()} and all before it")
    config = source.config
    meaning = seen.meaning(root, config.split_names)
    if problems := left_out.problems(root, seen, meaning):
        raise UserError(problems)
    in_pieces = list(meaning.split_folders.values()).count("train") > 1
    needs_all = in_pieces or config.join_alike or needs_all_pictures(config, meaning.splits)
    return None if needs_all else meaning


def _names_file(work: str, number: int) -> str:
    return storage.join(work, NAMES, f"{number:06d}.parquet")


def _listed(work: str) -> Iterator[pa.Table]:
    number = 0
    while storage.exists(_names_file(work, number)):
        yield storage.read_parquet(_names_file(work, number))
        number += 1


def _rows_by_class(source: _Source, meaning: Meaning) -> Iterator[pa.Table]:
    """ROWS of one class folder after another. Raises UserError as `ingest` does."""
    config = source.config
    root = storage.absolute(config.path)
    problems: list[str] = []
    names = display_names(
        root, meaning.class_entries(), class_names=config.class_names, problems=problems
    )

    drawn = to_draw(meaning.splits, config)

    def labelled() -> Iterator[pa.Table]:
        for paths in _classes(source, meaning):
            yield complete_splits(label_paths(paths, meaning), drawn, config.seed)

    counts = counts_of_splits([])
    for images in labelled():
        for label, of_label in counts_of_splits([images]).items():
            counts[label] += of_label
        if not problems:
            yield _to_rows(root, images, ids=image_ids(images), names=names)
    problems += name_problems(root, names)
    problems += alike_problems(root, meaning.class_entries(), names, places={})
    problems += split_problems(root, meaning.class_entries(), counts)
    if not counts:
        problems = [no_usable_image(root, source.errors)]
    if problems:
        raise UserError(problems)


def _classes(source: _Source, meaning: Meaning) -> Iterator[pa.ChunkedArray]:
    """The paths of one class folder after another, as they were listed."""
    root = storage.absolute(source.config.path)
    waiting: list[pa.Array] = []
    last = None
    for found in _listed(source.work):
        paths, bad = pictures_and_errors(root, found)
        source.errors.extend(bad + outside_classes(root, paths, meaning))
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


def _rows_at_once(source: _Source) -> Iterator[pa.Table]:
    """ROWS of a data set whose files say everything at once."""
    found = read_checked(source.config, storage.join(source.work, INDICES))
    reading = found.reading
    source.errors.extend(reading.errors)
    yield _to_rows(reading.root, reading.images, ids=found.ids, names=found.names)


def _to_rows(root: str, images: pa.Table, *, ids: pa.Array, names: list[str]) -> pa.Table:
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
