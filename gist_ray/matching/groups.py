"""Choosing texts class by class, as every label-preserving variant does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gist_ray.errors import UserError
from gist_ray.matching.side_by_side import side_by_side
from gist_ray.matching.similarity import chunks, cosine, unique_rows
from gist_ray.schema import stable_id


@dataclass(frozen=True)
class LabelledFeatures:
    """Embeddings of images or texts with their classes.

    features: (num_rows, dim) float32, L2-normalised. labels: (num_rows,) int64.
    """

    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Matches:
    """The texts of each image, in the variant's order of preference.

    text_index: (num_images, k) int32, positions in the text table, -1 for no text.
    similarity: (num_images, k) float32 cosine similarities, NaN for no text.
    """

    text_index: np.ndarray
    similarity: np.ndarray


Select = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""A function (image positions (rows,), similarity (rows, texts), text positions (texts,)) -> chosen
columns of `similarity` (rows, at most k), in the order of preference."""


def classes_without_texts(image_labels: np.ndarray, text_labels: np.ndarray) -> list[int]:
    """Returns the labels that have images and no text."""
    return [int(label) for label in np.setdiff1d(image_labels, text_labels)]


def class_groups(
    image_labels: np.ndarray, text_labels: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields (label, image positions, text positions) of each class with images, positions
    ascending.

    Raises UserError if a class with images has no text.
    """
    missing = classes_without_texts(image_labels, text_labels)
    if missing:
        raise UserError(
            f"{len(missing)} classes have images and no text: labels {missing}. Write or import "
            "texts for them, or loosen the checks that rejected theirs."
        )
    by_label = np.argsort(image_labels, kind="stable")
    labels, starts = np.unique(image_labels[by_label], return_index=True)
    for label, rows in zip(labels, np.split(by_label, starts[1:]), strict=False):
        yield int(label), rows, np.flatnonzero(text_labels == label)


def match_within_classes(
    images: LabelledFeatures,
    texts: LabelledFeatures,
    select: Select,
    *,
    k: int,
    whole_class: bool = False,
) -> Matches:
    """Returns the texts that `select` chooses for each image among those of its own class.

    `select` gets the images of a class in chunks of bounded memory, or all at once with
    `whole_class`. Raises UserError if a class with images has no text.
    """
    text_index = np.full((len(images.labels), k), -1, np.int32)
    similarity = np.full((len(images.labels), k), np.nan, np.float32)

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]]:
        for _, rows, own in class_groups(images.labels, texts.labels):
            own_features = unique_rows(texts.features[own])
            # besides the image itself: the similarities and the arrays that sort them
            row_bytes = 4 * (images.features.shape[1] + 8 * len(own))
            for chunk in [rows] if whole_class else chunks(rows, row_bytes):
                yield chunk, own, own_features

    def work(
        chunk: np.ndarray, own: np.ndarray, own_features: tuple[np.ndarray, np.ndarray]
    ) -> None:
        scores = cosine(images.features, chunk, own_features)
        columns = select(chunk, scores, own)
        width = columns.shape[1]
        text_index[chunk, :width] = own[columns]
        similarity[chunk, :width] = np.take_along_axis(scores, columns, axis=1)

    side_by_side(work, pieces())
    return Matches(text_index, similarity)


def image_rng(seed: int, image_id: str) -> np.random.Generator:
    """Returns the random generator of one image, which does not depend on the image's position in
    the data set."""
    return np.random.default_rng(int(stable_id(seed, image_id), 16))
