"""Checks the four tables that matching reads and joins them into arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.errors import UserError
from gist_ray.matching.groups import classes_without_texts
from gist_ray.matching.vectors import (
    Vectors,
    find_places,
    find_vectors,
    read_blocks,
)
from gist_ray.schema import ERRORS, table, usable_texts

NORM_TOLERANCE = 0.01
"""How far the norm of an embedding may be from 1. The rounding of bf16 stays well below."""


@dataclass(frozen=True)
class MatchingTables:
    """The tables that matching reads: MANIFEST with the image embeddings, TEXTS with theirs."""

    manifest: pa.Table
    image_vectors: Vectors
    texts: pa.Table
    text_vectors: Vectors


@dataclass(frozen=True)
class MatchingInputs:
    """Training images and usable texts that have an embedding, in the order of their tables; the
    images sorted by class, so that those of a class are a slice.

    image_ids, text_ids: string arrays. text_features: (num_texts, dim), float32, L2-normalised.
    image_labels: (num_images,), text_labels: (num_texts,) int64. class_names: label -> name.
    """

    image_ids: pa.Array
    image_labels: np.ndarray
    image_blocks: Callable[[float], Iterator[tuple[np.ndarray, np.ndarray]]]
    """A function (bytes of a block) -> iterator over blocks (positions among the images, ascending;
    their features, (num_in_block, dim) float32, L2-normalised), which covers each image once. The
    features of images are read when needed and not kept, since they may not fit into memory.
    Raises UserError for vectors that are not normalised."""
    text_ids: pa.Array
    text_features: np.ndarray
    text_labels: np.ndarray
    class_names: dict[int, str]


def training_images(manifest: pa.Table) -> pa.Table:
    return manifest.filter(pc.equal(manifest.column("split"), "train"))


def without_embedding(tables: MatchingTables) -> pa.Table:
    """Returns ERRORS rows of the training images and usable texts without an embedding, which
    matching leaves out."""
    rows = []
    for kind, source, vectors in (
        ("image", training_images(tables.manifest), tables.image_vectors),
        ("text", usable_texts(tables.texts), tables.text_vectors),
    ):
        known = pc.is_in(source.column(f"{kind}_id"), value_set=vectors.ids)
        lost = source.filter(pc.invert(known))
        uris = lost.column("uri").to_pylist() if kind == "image" else [""] * lost.num_rows
        rows += [
            {
                "id": lost_id,
                "uri": uri,
                "stage": "match",
                "kind": "no_embedding",
                "message": f"the {kind} has no embedding and was left out of matching",
            }
            for lost_id, uri in zip(lost.column(f"{kind}_id").to_pylist(), uris, strict=True)
        ]
    return table(rows, ERRORS)


def _repeated_ids(name: str, ids: pa.Array) -> list[str]:
    counts = pc.value_counts(ids)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if not len(repeated):
        return []
    return [
        f"{name}: {len(repeated)} ids occur more than once (first: {repeated[0].as_py()!r}). "
        "Embed again with unique ids."
    ]


def _wrong_lengths(name: str, ids: pa.Array | pa.ChunkedArray, features: np.ndarray) -> list[str]:
    # norms that are not finite compare false, so they are reported as wrong
    norms = np.sqrt(np.einsum("ij,ij->i", features, features))
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))
    if not len(wrong):
        return []
    first = int(wrong[0])
    return [
        f"{name}: {len(wrong)} embeddings are not L2-normalised or not finite (first: "
        f"{ids[first].as_py()!r} with length {norms[first]:.4g}). Delete the artifact and "
        "embed again."
    ]


def _class_names(rows: pa.Table) -> dict[int, str]:
    pairs = rows.select(["label", "class_name"]).group_by(["label", "class_name"]).aggregate([])
    return {row["label"]: row["class_name"] for row in pairs.to_pylist()}


def gather_inputs(tables: MatchingTables) -> MatchingInputs:
    """Joins training images and usable texts with their embeddings.

    Rows without an embedding are left out (`without_embedding` lists them).
    Raises UserError with every problem found: embeddings of different dimensions, repeated ids,
    texts' vectors that are not normalised, a training image without label, labels with different
    class names in manifest and texts, nothing to match, classes without texts.
    """
    image_vectors, text_vectors = tables.image_vectors, tables.text_vectors
    wanted = training_images(tables.manifest)
    by_class = wanted.take(pc.sort_indices(wanted.column("label")))  # a stable sort
    known, places = find_places(image_vectors, by_class.column("image_id"))
    images = by_class.filter(pa.array(known))
    usable = usable_texts(tables.texts)
    known, text_features = find_vectors(text_vectors, usable.column("text_id"))
    usable = usable.filter(pa.array(known))
    problems = [
        *_repeated_ids("image embeddings", image_vectors.ids),
        *_repeated_ids("text embeddings", text_vectors.ids),
        *_wrong_lengths("text embeddings", usable.column("text_id"), text_features),
    ]
    image_dim, text_dim = image_vectors.dim, text_features.shape[1]
    if image_dim != text_dim:
        problems.append(
            f"image embeddings have {image_dim} dimensions and text embeddings {text_dim}: they "
            "come from different models. Embed both with the same clip config."
        )
    if not images.num_rows:
        problems.append(
            "no image of split 'train' has an embedding: check the manifest's split column and "
            "the errors of the image embeddings."
        )
    if not usable.num_rows:
        problems.append(
            "no text is left to match: all were rejected or have no embedding. See why in the "
            "texts table's column 'rejected'."
        )
    unlabelled = images.filter(pc.is_null(images.column("label")))
    if unlabelled.num_rows:
        problems.append(
            f"manifest: {unlabelled.num_rows} images of split 'train' have no label (first: "
            f"{unlabelled.column('image_id')[0].as_py()!r}). Give them one or move them to split "
            "'unlabeled'."
        )
    if problems:
        raise UserError(problems)

    image_labels = images.column("label").to_numpy().astype(np.int64)
    text_labels = usable.column("label").to_numpy().astype(np.int64)
    names, text_names = _class_names(images), _class_names(usable)
    problems += [
        f"label {label} is {names[label]!r} in the manifest and {text_names[label]!r} in the "
        "texts: they belong to different data sets or versions. Generate or import the texts again."
        for label in sorted(names.keys() & text_names.keys())
        if names[label] != text_names[label]
    ]
    missing = classes_without_texts(image_labels, text_labels)
    if missing:
        listed = ", ".join(f"{names[label]!r} (label {label})" for label in missing)
        problems.append(
            f"{len(missing)} classes have training images and no usable text: {listed}. Write or "
            "import texts for them, or loosen the checks that rejected theirs."
        )
    if problems:
        raise UserError(problems)
    image_ids = images.column("image_id").combine_chunks()

    def image_blocks(block_bytes: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows, features in read_blocks(image_vectors, places, block_bytes):
            if wrong := _wrong_lengths("image embeddings", image_ids.take(rows), features):
                raise UserError(wrong)
            yield rows, features

    return MatchingInputs(
        image_ids,
        image_labels,
        image_blocks,
        usable.column("text_id").combine_chunks(),
        text_features,
        text_labels,
        text_names | names,
    )
