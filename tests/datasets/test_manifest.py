"""The stored manifest: found again by a store that was moved."""

import shutil
from pathlib import Path

import pyarrow as pa

from gist_ray.datasets.manifest import classes_of, movable, num_classes_of, read_manifest
from gist_ray.schema import MANIFEST, table
from gist_ray.store.artifacts import ArtifactStore


def manifest(*uris: str) -> pa.Table:
    rows = [
        {"image_id": str(i), "uri": uri, "split": "train", "attributes": "{}"}
        for i, uri in enumerate(uris)
    ]
    return table(rows, MANIFEST)


def test_pictures_in_the_store_move_with_it_and_others_stay(tmp_path: Path) -> None:
    root = tmp_path / "here"
    store = ArtifactStore(str(root))
    rows = manifest(f"{root}/artifacts/pictures/1/a.png", "/data/b.png", "s3://bucket/c.png")
    writer = store.writer("manifest", "manifest", {}, inputs={})
    writer.write(movable(rows, store.root))
    written = writer.publish(0)
    assert read_manifest(written).equals(rows)

    shutil.move(root, tmp_path / "there")
    found = ArtifactStore(str(tmp_path / "there")).find("manifest", written.fingerprint)
    assert found is not None
    assert read_manifest(found).column("uri").to_pylist() == [
        f"{tmp_path}/there/artifacts/pictures/1/a.png",
        "/data/b.png",
        "s3://bucket/c.png",
    ]


def test_classes_are_those_of_labelled_images() -> None:
    images = [
        {"image_id": str(number), "uri": "/a", "label": label, "class_name": name}
        | {"split": "train" if name else "unlabeled", "attributes": "{}"}
        for number, (label, name) in enumerate([(2, "c"), (0, "a"), (None, None), (2, "c")])
    ]
    rows = table(images, MANIFEST)
    assert classes_of(rows) == [(0, "a"), (2, "c")]
    assert num_classes_of(rows) == 3
