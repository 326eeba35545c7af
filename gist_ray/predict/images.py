"""The images to classify, page by page: of a folder no more than a page is ever in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.image_folder import find_pictures, pictures_and_errors
from gist_ray.datasets.reading import locations, parent, relative_paths
from gist_ray.datasets.rows import column_names, read_rows, texts
from gist_ray.errors import UserError
from gist_ray.images.decode import has_picture_ending
from gist_ray.predict.config import PredictConfig
from gist_ray.schema import ERRORS, error_row, stable_ids, table
from gist_ray.store import storage
from gist_ray.store.reachable import why_missing

ROWS_PER_PAGE = 500_000
"""The model is loaded once per page."""

TABLES = (".csv", ".parquet", ".jsonl", ".ndjson")
PACKED_MANIFEST = "manifest.parquet"


@dataclass(frozen=True)
class Page:
    """images: image_id and uri, each id once; errors: ERRORS of what cannot be an image."""

    images: pa.Table
    errors: pa.Table


def pages_of_images(config: PredictConfig) -> Iterator[Page]:
    """Yields the images of a folder, a packed set or a table, or the one image, in a fixed order.

    Raises UserError for a source that is not there or cannot be read, and for repeated ids.
    """
    root = storage.absolute(config.images)
    if why := why_missing(root):
        raise UserError(f"images={config.images}: {why}.")
    if root.lower().endswith(TABLES):
        yield from _of_table(root, config.image_column, config.id_column)
    elif has_picture_ending(root) and not storage.is_folder(root):
        folder, _, name = root.rpartition("/")
        yield Page(_images(folder, pa.chunked_array([[name]])), ERRORS.empty_table())
    elif storage.exists(storage.join(root, PACKED_MANIFEST)):
        yield from _of_table(storage.join(root, PACKED_MANIFEST), "uri", "image_id")
    else:
        yield from _of_folder(root)


def _of_folder(root: str) -> Iterator[Page]:
    waiting: list[Page] = []
    for found in find_pictures(root):
        paths, errors = pictures_and_errors(root, found)
        waiting.append(Page(_images(root, paths), table(errors, ERRORS)))
        if sum(len(page.images) for page in waiting) >= ROWS_PER_PAGE:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(pages: list[Page]) -> Page:
    return Page(
        pa.concat_tables(page.images for page in pages).combine_chunks(),
        pa.concat_tables(page.errors for page in pages),
    )


def _of_table(uri: str, image_column: str, id_column: str) -> Iterator[Page]:
    problems: list[str] = []
    rows = read_rows(uri, problems)
    if problems:
        raise UserError(problems)
    known = column_names(rows)
    for setting, column in (("image_column", image_column), ("id_column", id_column)):
        if column and column not in known:
            raise UserError(
                f"{setting}={column}: {uri} has no such column. It has {', '.join(known)}."
            )
    paths = texts(uri, rows, image_column)
    numbers = pa.array(range(1, len(paths) + 1))
    errors = [
        error_row(
            f"row {number}", uri, kind="missing", message=f"row {number} of {uri} names no image"
        )
        for number in numbers.filter(pc.equal(paths, "")).to_pylist()
    ]
    given = pc.not_equal(paths, "")
    root = parent(uri)
    images = _images(root, relative_paths(root, pa.chunked_array([paths.filter(given)])))
    if id_column:
        ids = texts(uri, rows, id_column).filter(given)
        images = images.set_column(0, "image_id", ids)
    _refuse_repeats(uri, images)
    yield Page(images.slice(0, ROWS_PER_PAGE), table(errors, ERRORS))
    for start in range(ROWS_PER_PAGE, len(images), ROWS_PER_PAGE):
        yield Page(images.slice(start, ROWS_PER_PAGE), ERRORS.empty_table())


def _images(root: str, paths: pa.ChunkedArray) -> pa.Table:
    ids = pa.array(stable_ids(paths.to_pylist()), pa.string())
    return pa.table({"image_id": ids, "uri": locations(root, paths)})


def _refuse_repeats(uri: str, images: pa.Table) -> None:
    counts = images.column("image_id").combine_chunks().value_counts()
    repeated = counts.filter(pc.greater(pc.struct_field(counts, "counts"), 1))
    if len(repeated):
        first = repeated[0]["values"].as_py()
        raise UserError(
            f"{uri}: {len(repeated):,} images are named more than once, the first of them "
            f"{first!r}. Name each once, or give each row an id of its own by id_column."
        )
