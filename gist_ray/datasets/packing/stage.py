"""The pack job: rows of shards, shards on Ray Data, and a manifest that points into them.

<out>/shards/000000.parquet   the images (`gist_ray.datasets.packing.shard.SHARD`)
<out>/manifest.parquet        every row of the source; what is packed points into a shard
<out>/errors.parquet          images that could not be packed
<out>/artifact.json           written last
<out>/work/                   what a killed run goes on from
"""

import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from gist_ray.datasets.packing.config import PackConfig
from gist_ray.datasets.packing.manifest import write_manifest
from gist_ray.datasets.packing.shard import ROWS, pack_shard
from gist_ray.datasets.packing.source import rows_file, write_source
from gist_ray.errors import UserError
from gist_ray.run.cluster import connect, relative_in_job, require_shared
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.run.progress import Progress, duration
from gist_ray.run.rows import run_rows
from gist_ray.schema import ERRORS, TRANSIENT_KINDS
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter
from gist_ray.store.parts import PARTS
from gist_ray.store.reachable import why_unwritable

PACKED = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("images", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("errors", pa.list_(pa.struct(list(ERRORS))), nullable=False),
    ]
)


def run_pack(config: PackConfig) -> Artifact:
    """Pack what is not packed yet. Raises UserError, or TooManyFailedRowsError."""
    folders = {"out": config.out}
    if storage.is_folder(config.data.path):  # a table is read by the driver and may be relative
        folders["data.path"] = config.data.path
    if problems := relative_in_job(folders):
        raise UserError(problems)
    out = storage.absolute(config.out)
    work = storage.join(out, "work")
    progress = Progress()
    settings = identity_of(config)
    done = _finished(out, settings)
    if done is not None and not _transient(done.counts["failed"]):
        progress.say("pack", f"{done.counts['rows_ok']:,} images are packed already")
        return _checked(done, config)
    if why := why_unwritable(out):
        raise UserError(f"out={config.out}: {why}.")
    # shards that are made anew have other rows than the manifest of before says
    storage.delete(storage.join(out, "artifact.json"))
    _claim(storage.join(work, "config.json"), settings)
    start = time.monotonic()
    try:
        source = write_source(config.data, config.images_per_shard, work, progress)
    except UserError:
        storage.delete(work)  # or the data set would count as it was before it was mended
        raise
    packed = _pack_shards(config, out, work, source["shards"], progress)
    writer = ArtifactWriter(out, "packed", "pack", identity=settings, inputs={})
    writer.add_errors(storage.read_parquet(storage.join(work, "errors.parquet")))
    for row in packed.to_pylist():
        if row["images"]:
            writer.add_part(f"shards/{row['shard']}.parquet", row["images"])
        writer.add_errors(pa.Table.from_pylist(row["errors"], schema=ERRORS))
    write_manifest(out, work, packed)
    seconds = time.monotonic() - start
    artifact = writer.publish(seconds)
    num_images, num_bytes = artifact.counts["rows_ok"], pc.sum(packed.column("bytes")).as_py()
    progress.say(
        "pack",
        f"done in {duration(seconds)}: {num_images:,} images, {num_bytes / 2**20:,.1f} MiB, "
        f"{len(artifact.info['parts']):,} shards. Read it by data=packed data.path={config.out}",
    )
    if not _transient(artifact.counts["failed"]):
        storage.delete(work)
    return _checked(artifact, config)


def _finished(out: str, settings: dict[str, Any]) -> Artifact | None:
    """The packed set at `out`, if there is one. Raises UserError if it is another one."""
    uri = storage.join(out, "artifact.json")
    if not storage.exists(uri):
        return None
    info = storage.read_json(uri)
    _refuse_others(out, info.get("identity"), settings)
    return Artifact(out, info)


def _claim(uri: str, settings: dict[str, Any]) -> None:
    """Note what is packed here. Raises UserError if something else had been begun."""
    if storage.exists(uri):
        _refuse_others(uri, storage.read_json(uri), settings)
    else:
        storage.write_json(uri, settings)


def _refuse_others(place: str, found: Any, settings: dict[str, Any]) -> None:
    if found != settings:
        known = found if isinstance(found, dict) else {}
        differ = sorted(name for name in settings if known.get(name) != settings[name])
        raise UserError(
            f"{place}: something else is packed here ({', '.join(differ)} differ). Choose another "
            "folder for out, or delete this one."
        )


def _pack_shards(
    config: PackConfig, out: str, work: str, num_shards: int, progress: Progress
) -> pa.Table:
    """PACKED of all shards, in their order. Those with errors of a kind that may pass are made
    again."""
    writer = ArtifactWriter(work, "shards", "pack", identity={}, inputs={})
    for name in _parts_to_repeat(work):
        storage.delete(writer.file(name))

    def pack_batch(batch: pa.Table) -> pa.Table:
        rows: list[dict[str, Any]] = []
        for shard in batch.column("shard").to_pylist():
            source = storage.read_parquet(rows_file(work, int(shard)))
            uri = storage.join(out, "shards", f"{shard}.parquet")
            num_images, num_bytes, errors = pack_shard(source.cast(ROWS), uri, config)
            failed = errors.to_pylist()
            rows.append(
                {"shard": shard, "images": num_images, "bytes": num_bytes, "errors": failed}
            )
        none = pa.array([""] * len(rows))
        done = pa.Table.from_pylist(rows, schema=PACKED)
        return done.append_column("error_kind", none).append_column("error_message", none)

    def transform(dataset: ray.data.Dataset) -> ray.data.Dataset:
        return dataset.map_batches(
            pack_batch,
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=1,
            compute=ray.data.TaskPoolStrategy(size=config.max_workers),
        )

    shards = [f"{number:06d}" for number in range(num_shards)]
    connect()
    require_shared({"out": config.out})
    run_rows(
        pa.table({"shard": shards}),
        id_column="shard",
        transform=transform,
        schema=PACKED,
        writer=writer,
        rows_per_part=1,
        unit="shards",
        progress=progress,
    )
    parts = [storage.read_parquet(writer.file(part["file"])) for part in writer.parts]
    return pa.concat_tables(parts).sort_by("shard")


def _parts_to_repeat(work: str) -> Iterator[str]:
    folder = storage.join(work, PARTS)
    if not storage.exists(folder):
        return
    for name in list(storage.list_files(folder)):
        errors = storage.read_parquet(storage.join(folder, name)).column("errors").to_pylist()
        if any(row["kind"] in TRANSIENT_KINDS for of_shard in errors for row in of_shard):
            yield f"{PARTS}/{name}"


def _transient(failed: dict[str, int]) -> bool:
    return any(failed.get(kind) for kind in TRANSIENT_KINDS)


def _checked(artifact: Artifact, config: PackConfig) -> Artifact:
    counts = artifact.counts
    if sum(counts["failed"].values()) > config.max_failed_fraction * counts["rows_in"]:
        raise TooManyFailedRowsError("pack", artifact, config.max_failed_fraction)
    return artifact
