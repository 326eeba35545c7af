"""Stored embeddings as the features, labels and texts that methods see."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.fewshot import sampled_images
from gist_ray.errors import UserError
from gist_ray.matching.vectors import (
    Vectors,
    find_places,
    find_vectors,
    read_blocks,
    read_vectors,
    stored_vectors,
)
from gist_ray.methods.base.problem import Split, TextSet
from gist_ray.schema import usable_texts
from gist_ray.store.artifacts import Artifact


def read_sample(manifest: pa.Table, shots: pa.Table, embeddings: Artifact) -> tuple[Split, Split]:
    """Returns the train and val images of a SHOTS table that have a label and an embedding."""
    images = stored_vectors(embeddings, "image_id")
    train, val = (
        read_split(sampled_images(manifest, shots, split), images) for split in ("train", "val")
    )
    return train, val


def read_split(images: pa.Table, vectors: Vectors) -> Split:
    """Returns the rows of a manifest that have a label and an embedding."""
    found, places = _found(images, vectors)
    return _split(found, read_vectors(vectors, places))


def read_split_in_blocks(images: pa.Table, vectors: Vectors) -> Iterator[tuple[np.ndarray, Split]]:
    """Yields the rows of `read_split` block by block: (their indices among all of them, rows)."""
    found, places = _found(images, vectors)
    for rows, features in read_blocks(vectors, places):
        yield rows, _split(found.take(rows), features)


def read_text_set(texts: pa.Table, embeddings: Artifact) -> TextSet:
    """Returns the usable texts of a TEXTS table that have an embedding, and a class where some
    text of the table has one; else all have the label -1.

    Raises UserError if none has an embedding.
    """
    usable = usable_texts(texts)
    has_class = pc.is_valid(usable.column("label"))
    if pc.any(has_class).as_py():
        usable = usable.filter(has_class)
    known, features = find_vectors(stored_vectors(embeddings, "text_id"), usable.column("text_id"))
    rows = usable.filter(pa.array(known))
    if not len(rows):
        raise UserError(
            f"{embeddings.uri}: none of its texts has an embedding. See errors.parquet there."
        )
    labels = rows.column("label").fill_null(-1).to_numpy().astype(np.int64)
    return TextSet(rows.column("text").to_pylist(), features, labels)


def logit_scale_of(inputs: Mapping[str, Artifact]) -> float:
    """Returns the logit_scale, after exp, of the model of any of the embeddings."""
    for artifact in inputs.values():
        if "logit_scale" in artifact.info:
            return float(artifact.info["logit_scale"])
    raise UserError("no embedding says its model's logit_scale. Delete them and run again.")


def _found(images: pa.Table, vectors: Vectors) -> tuple[pa.Table, np.ndarray]:
    images = images.filter(pc.is_valid(images.column("label")))
    known, places = find_places(vectors, images.column("image_id"))
    return images.filter(pa.array(known)), places


def _split(images: pa.Table, features: np.ndarray) -> Split:
    return Split(
        images.column("image_id").combine_chunks(),
        features,
        images.column("label").to_numpy().astype(np.int64),
    )
