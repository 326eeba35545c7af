"""The manifest as an artifact, with relative paths for pictures inside the store."""

from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.schema import MANIFEST
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact


def movable(manifest: pa.Table, root: str) -> pa.Table:
    """Returns `manifest` with the URIs below the store's `root` relative to it, for storing. A
    store that is copied or mounted elsewhere still finds its pictures."""
    prefix = f"{root}/"
    return _with_uris(
        manifest, [uri.removeprefix(prefix) for uri in manifest.column("uri").to_pylist()]
    )


def read_manifest(artifact: Artifact) -> pa.Table:
    """Returns the MANIFEST that a stage stored, with absolute URIs."""
    return _read(_Key(artifact.uri, artifact.fingerprint, artifact))


def num_classes_of(manifest: pa.Table) -> int:
    """Returns how many labels a manifest has, 0..num_classes-1."""
    return int(pc.max(manifest.column("label")).as_py()) + 1


def classes_of(manifest: pa.Table) -> list[tuple[int, str]]:
    """Returns (label, class name) of every class, by label."""
    labelled = manifest.select(["label", "class_name"]).drop_null()
    pairs = labelled.group_by(["label", "class_name"]).aggregate([]).to_pylist()
    return sorted((row["label"], row["class_name"]) for row in pairs)


@dataclass(frozen=True)
class _Key:
    uri: str
    fingerprint: str
    artifact: Artifact = field(compare=False)


@lru_cache(maxsize=1)
def _read(key: _Key) -> pa.Table:
    """Returns the manifest with absolute URIs. The last one is cached, since every stage of a run
    reads the same."""
    artifact = key.artifact
    manifest = artifact.read()
    uris = manifest.column("uri").to_pylist()
    if not any(_is_relative(one) for one in uris):
        return manifest
    return _with_uris(
        manifest,
        [storage.join(artifact.root, one) if _is_relative(one) else one for one in uris],
    )


def _is_relative(uri: str) -> bool:
    return "://" not in uri and not uri.startswith("/")


def _with_uris(manifest: pa.Table, uris: list[str]) -> pa.Table:
    at = MANIFEST.get_field_index("uri")
    return manifest.set_column(at, MANIFEST.field("uri"), pa.array(uris, pa.string()))
