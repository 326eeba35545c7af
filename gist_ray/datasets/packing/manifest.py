"""The manifest of a packed set: every row of the source, pointing into the shards."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gist_ray.datasets.packing.shard import ROWS
from gist_ray.datasets.packing.source import rows_part
from gist_ray.images.members import row_reference
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact

MANIFEST_FILE = "manifest.parquet"


def write_manifest(out: str, rows: Artifact, packed: pa.Table) -> None:
    """Writes `<out>/manifest.parquet`, a shard at a time in memory.

    rows: the parts with the ROWS of every shard. packed: per shard its name and `errors`, the rows
    that are not in it. These keep their own location, so that a run on the packed set has the rows
    of a run on the source: the same few-shot draws, and the same failures.
    """
    parts = {part["file"]: part for part in rows.info["parts"]}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / MANIFEST_FILE)
        with pq.ParquetWriter(path, ROWS, compression="zstd", write_page_checksum=True) as writer:
            for shard in packed.select(["shard", "errors"]).to_pylist():
                of_shard = rows.read_part(parts[rows_part(shard["shard"])])
                failed = {error["id"] for error in shard["errors"]}
                writer.write_table(_pointing_into(of_shard, shard["shard"], failed))
        storage.put_file(path, storage.join(out, MANIFEST_FILE))


def _pointing_into(rows: pa.Table, shard: str, failed: set[str]) -> pa.Table:
    """Locations relative to the packed set's folder, which may so be moved."""
    uris = rows.column("uri").to_pylist()
    place = 0
    for index, image_id in enumerate(rows.column("image_id").to_pylist()):
        if image_id not in failed:
            uris[index] = row_reference(f"shards/{shard}.parquet", place)
            place += 1
    column = rows.schema.get_field_index("uri")
    return rows.set_column(column, ROWS.field("uri"), pa.array(uris, pa.string())).cast(ROWS)
