"""One shard: fetch its images, encode them again where that is asked for, write a Parquet file."""

import io
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from gist_ray.datasets.packing.config import PackConfig
from gist_ray.images.decode import ImageError, decode, fetch
from gist_ray.schema import ERRORS, MANIFEST, table
from gist_ray.store import storage

ROWS = pa.schema(
    [
        *MANIFEST,
        # the image's path in the data set it was packed from
        pa.field("name", pa.string(), nullable=False),
    ]
)

SHARD = pa.schema(
    [
        MANIFEST.field("image_id"),
        ROWS.field("name"),
        pa.field("bytes", pa.binary(), nullable=False),
        # of `bytes`
        pa.field("size", pa.int64(), nullable=False),
        MANIFEST.field("label"),
        MANIFEST.field("class_name"),
        MANIFEST.field("split"),
        MANIFEST.field("attributes"),
    ]
)

FORMATS: dict[str, dict[str, Any]] = {
    # every pixel keeps its colour
    "jpeg": {"format": "JPEG", "subsampling": 0, "optimize": True},
    "webp": {"format": "WEBP", "method": 4},
}


def pack_shard(rows: pa.Table, uri: str, config: PackConfig) -> tuple[int, int, pa.Table]:
    """Write the images of `rows` (ROWS) that can be read to `uri`, in their order; the file is
    there whole or not at all, and not at all without images.

    Returns the number of images, their bytes, and ERRORS of the others. It is made on the local
    disk, a row group at a time in memory.
    """
    errors: list[dict[str, str]] = []
    num_images = num_bytes = 0
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "shard.parquet")
        with _open_writer(path) as writer:
            for group in _row_groups(_encoded(rows, config, errors), config):
                writer.write_table(table(group, SHARD), row_group_size=len(group))
                num_images += len(group)
                num_bytes += sum(row["size"] for row in group)
        if num_images:
            storage.put_file(path, uri)
    return num_images, num_bytes, table(errors, ERRORS)


def _open_writer(path: str) -> pq.ParquetWriter:
    others = [name for name in SHARD.names if name != "bytes"]
    return pq.ParquetWriter(
        path,
        SHARD,
        # images are compressed already
        compression={**dict.fromkeys(others, "zstd"), "bytes": "none"},
        use_dictionary=others,
        write_statistics=False,
        write_page_checksum=True,
    )


def _row_groups(rows: Iterator[dict[str, Any]], config: PackConfig) -> Iterator[list[dict]]:
    group: list[dict[str, Any]] = []
    num_bytes = 0
    for row in rows:
        if group and num_bytes + row["size"] > config.row_group_mib * 2**20:
            yield group
            group, num_bytes = [], 0
        group.append(row)
        num_bytes += row["size"]
    if group:
        yield group


def _encoded(
    rows: pa.Table, config: PackConfig, errors: list[dict[str, str]]
) -> Iterator[dict[str, Any]]:
    """The rows with their bytes; those without are added to `errors`."""

    def read(row: dict[str, Any]) -> bytes | ImageError:
        try:
            data = fetch(row["uri"], int(config.max_image_mib * 2**20))
            return data if config.max_side_px is None else reencode(data, config)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(config.fetch_threads) as threads:
        waiting = iter(rows.to_pylist())
        # a window at a time, so that a shard of any size takes little memory
        while window := list(islice(waiting, config.fetch_threads)):
            for row, data in zip(window, threads.map(read, window), strict=True):
                if isinstance(data, ImageError):
                    errors.append(
                        {
                            "id": row["image_id"],
                            "uri": row["uri"],
                            "stage": "pack",
                            "kind": data.kind,
                            "message": data.message,
                        }
                    )
                else:
                    yield {**row, "bytes": data, "size": len(data)}


def reencode(data: bytes, config: PackConfig) -> bytes:
    """The image upright, in RGB, at most `max_side_px` on a side. Raises ImageError."""
    image = decode(data, config.max_image_pixels, white_level=config.white_level)
    assert config.max_side_px is not None
    # thumbnail keeps the shape and never enlarges
    image.thumbnail((config.max_side_px, config.max_side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, quality=config.quality, **FORMATS[config.encode_as])
    return buffer.getvalue()
