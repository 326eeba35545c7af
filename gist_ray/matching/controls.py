"""Controls for matching: random texts of the class, all of them, and the best of any class."""

from collections.abc import Sequence

import numpy as np

from gist_ray.matching.groups import LabelledFeatures, Matches, image_rng, match_within_classes
from gist_ray.matching.topk import match_topk


def match_random(
    images: LabelledFeatures,
    texts: LabelledFeatures,
    k: int,
    *,
    image_ids: Sequence[str],
    seed: int,
) -> Matches:
    """Returns k distinct texts of the own class for each image, drawn uniformly, in the order
    drawn, with their similarities.

    image_ids: one per image; the draw depends on the id and `seed`, not on the image's position.
    Raises UserError if a class with images has no text.
    """

    def select(rows: np.ndarray, similarity: np.ndarray, own: np.ndarray) -> np.ndarray:
        return np.stack([image_rng(seed, image_ids[row]).permutation(len(own))[:k] for row in rows])

    return match_within_classes(images, texts, select, k=k)


def match_all(images: LabelledFeatures, texts: LabelledFeatures) -> Matches:
    """Returns all texts of the own class for each image, most similar first.

    Raises UserError if a class with images has no text.
    """
    most_texts = int(np.bincount(texts.labels).max(initial=1))
    return match_topk(images, texts, most_texts)


def match_any_class(image_features: np.ndarray, text_features: np.ndarray, k: int) -> Matches:
    """Returns the k most similar of all texts for each image, whatever their class.

    image_features: (num_images, dim), text_features: (num_texts, dim), float32, L2-normalised.
    """
    images = LabelledFeatures(image_features, np.zeros(len(image_features), np.int64))
    texts = LabelledFeatures(text_features, np.zeros(len(text_features), np.int64))
    return match_topk(images, texts, k)
