"""The packed set that `data=packed` reads.

<out>/shards/000000.parquet   the images (`gist_ray.datasets.packing.shard.SHARD`)
<out>/manifest.parquet        every row of the data set; what is packed points into a shard
<out>/errors.parquet          ERRORS of the images that could not be packed
<out>/artifact.json           settings and counts; written last
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.packing.manifest import write_manifest
from gist_ray.datasets.packing.stage import shard_file
from gist_ray.schema import ERRORS, TRANSIENT_KINDS
from gist_ray.store import storage
from gist_ray.store.artifacts import ARTIFACT_FILE, Artifact, ArtifactWriter


def read_packed_set(out: str) -> Artifact | None:
    """Returns the set's counts, as those of an artifact; None where no set is whole."""
    uri = storage.join(out, ARTIFACT_FILE)
    return Artifact(out, storage.read_json(uri)) if storage.exists(uri) else None


def withdraw_packed_set(out: str) -> None:
    """Makes the set unreadable: shards that are made anew have other rows than its manifest
    says."""
    storage.delete(storage.join(out, ARTIFACT_FILE))


def write_packed_set(
    out: str, identity: Mapping[str, Any], *, rows: Artifact, shards: Artifact
) -> Artifact:
    """Writes all but the shards themselves; returns the set's counts, as those of an artifact.

    rows: parts with the ROWS of every shard; shards: PACKED.
    """
    packed = shards.read().sort_by("shard")
    writer = ArtifactWriter(out, "packed set", "pack", identity=identity, inputs={})
    writer.add_errors(rows.read_errors())
    for row in packed.to_pylist():
        if row["images"]:
            writer.add_part(shard_file(row["shard"]), row["images"])
        writer.add_errors(pa.Table.from_pylist(row["errors"], schema=ERRORS))
    writer.extra["bytes"] = pc.sum(packed.column("bytes")).as_py()
    write_manifest(out, rows, packed)
    return writer.publish(rows.info["seconds"] + shards.info["seconds"])


def forget_transient(shards: Artifact) -> int:
    """Deletes what is stored of the shards with errors that may be gone at the next attempt, so
    that the next run makes these and no others; returns how many.

    The artifact ceases to exist first: cut short, this leaves it complete but for its
    artifact.json, which the next run writes again.
    """
    names = [part["file"] for part in shards.info["parts"] if _is_transient(shards, part)]
    if names:
        storage.delete(shards.file(ARTIFACT_FILE))
    for name in names:
        storage.delete(shards.file(name))
    return len(names)


def _is_transient(shards: Artifact, part: Mapping[str, Any]) -> bool:
    errors = shards.read_part(part, ["errors"]).column("errors").to_pylist()
    return any(row["kind"] in TRANSIENT_KINDS for of_shard in errors for row in of_shard)
