"""Shards as rows of a stage: each is packed by one task, and counted as one row."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from gist_ray.datasets.packing.config import PackConfig
from gist_ray.datasets.packing.shard import ROWS, pack_shard
from gist_ray.datasets.packing.source import rows_part
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.step import Step
from gist_ray.schema import ERRORS
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter

PACKED = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("images", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("errors", pa.list_(pa.struct(list(ERRORS))), nullable=False),
    ]
)
"""A row for each shard; errors: of its images that could not be packed."""


def pack_shards(
    rows: Artifact, config: PackConfig, *, out: str, writer: ArtifactWriter, progress: Progress
) -> None:
    """Packs every part of `rows` (ROWS) into `<out>/shards/<shard>.parquet`, and stores PACKED in
    parts of one shard. A shard that has such a part is not made again."""

    run_rows(
        pa.table({"shard": [PurePosixPath(part["file"]).stem for part in rows.info["parts"]]}),
        id_column="shard",
        steps=[
            Step(
                make=_packer,
                args=(rows, config, out),
                batch_format="pyarrow",
                max_workers=config.max_workers,
            )
        ],
        schema=PACKED,
        writer=writer,
        rows_per_part=1,
        unit="shards",
        progress=progress,
    )


def _packer(rows: Artifact, config: PackConfig, out: str) -> Callable[[pa.Table], pa.Table]:
    def pack_batch(batch: pa.Table) -> pa.Table:
        found: list[dict[str, Any]] = []
        for shard in batch.column("shard").to_pylist():
            source = storage.read_parquet(rows.file(rows_part(shard)))
            uri = storage.join(out, shard_file(shard))
            num_images, num_bytes, errors = pack_shard(source.cast(ROWS), uri, config)
            failed = errors.to_pylist()
            found.append(
                {"shard": shard, "images": num_images, "bytes": num_bytes, "errors": failed}
            )
        none = pa.array([""] * len(found))
        done = pa.Table.from_pylist(found, schema=PACKED)
        return done.append_column("error_kind", none).append_column("error_message", none)

    return pack_batch


def shard_file(shard: str) -> str:
    """Returns the name of a shard's file in the packed set."""
    return f"shards/{shard}.parquet"
