"""Choosing texts class by class: what every label-preserving variant shares."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gist_ray.errors import UserError
from gist_ray.matching.side_by_side import side_by_side
from gist_ray.matching.similarity import chunks, cosine, unique_rows
from gist_ray.schema import stable_id


@dataclass(frozen=True)
class Matches:
    """The texts of each image, in the variant's order of preference.

    text_index: (num_images, k) int32, positions in the text table, -1 where there is none.
    similarity: (num_images, k) float32 cosine similarities, NaN where there is no text.
    """

    text_index: np.ndarray
    similarity: np.ndarray


Select = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(image positions (rows,), similarity (rows, texts), text positions (texts,)) -> chosen columns of
`similarity` (rows, at most k), the preferred one first."""


def classes_without_texts(image_labels: np.ndarray, text_labels: np.ndarray) -> list[int]:
    """Labels that have images and no text."""
    return [int(label) for label in np.setdiff1d(image_labels, text_labels)]


def class_groups(
    image_labels: np.ndarray, text_labels: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(label, image positions, text positions) of each class that has images, positions in order.

    Raises UserError if such a class has no text.
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
    image_features: np.ndarray,
    image_labels: np.ndarray,
    text_features: np.ndarray,
    text_labels: np.ndarray,
    k: int,
    select: Select,
    whole_class: bool = False,
) -> Matches:
    """Let `select` choose among the texts of each image's own class.

    image_features: (num_images, dim), text_features: (num_texts, dim), float32, L2-normalised;
    image_labels: (num_images,), text_labels: (num_texts,). The images of a class come in chunks of
    bounded memory, or all at once with `whole_class`.
    Raises UserError if a class with images has no text.
    """
    text_index = np.full((len(image_labels), k), -1, np.int32)
    similarity = np.full((len(image_labels), k), np.nan, np.float32)

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]]:
        for _, rows, texts in class_groups(image_labels, text_labels):
            own_texts = unique_rows(text_features[texts])
            # besides the image itself: the similarities and what sorting them needs
            row_bytes = 4 * (image_features.shape[1] + 8 * len(texts))
            for chunk in [rows] if whole_class else chunks(rows, row_bytes):
                yield chunk, texts, own_texts

    def work(
        chunk: np.ndarray, texts: np.ndarray, own_texts: tuple[np.ndarray, np.ndarray]
    ) -> None:
        scores = cosine(image_features, chunk, own_texts)
        columns = select(chunk, scores, texts)
        width = columns.shape[1]
        text_index[chunk, :width] = texts[columns]
        similarity[chunk, :width] = np.take_along_axis(scores, columns, axis=1)

    side_by_side(work, pieces())
    return Matches(text_index, similarity)


def image_rng(seed: int, image_id: str) -> np.random.Generator:
    """The random numbers of one image: the same wherever the image stands in the data set."""
    return np.random.default_rng(int(stable_id(seed, image_id), 16))
