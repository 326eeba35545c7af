"""What matching has to beat: random texts of the class, all of them, and the best of any class."""

from collections.abc import Sequence

import numpy as np

from gist_ray.matching.groups import Matches, image_rng, match_within_classes
from gist_ray.matching.topk import match_topk


def match_random(
    image_features: np.ndarray,
    image_labels: np.ndarray,
    text_features: np.ndarray,
    text_labels: np.ndarray,
    k: int,
    image_ids: Sequence[str],
    seed: int,
) -> Matches:
    """k different texts of the own class, drawn blindly, in the order drawn; similarities are
    computed all the same. Arrays as in `match_topk`; each image has random numbers of its own.

    Raises UserError if a class with images has no text.
    """

    def select(rows: np.ndarray, similarity: np.ndarray, texts: np.ndarray) -> np.ndarray:
        return np.stack(
            [image_rng(seed, image_ids[row]).permutation(len(texts))[:k] for row in rows]
        )

    return match_within_classes(image_features, image_labels, text_features, text_labels, k, select)


def match_all(
    image_features: np.ndarray,
    image_labels: np.ndarray,
    text_features: np.ndarray,
    text_labels: np.ndarray,
) -> Matches:
    """All texts of the own class, most similar first. Arrays as in `match_topk`.

    Raises UserError if a class with images has no text.
    """
    most_texts = int(np.bincount(text_labels).max(initial=1))
    return match_topk(image_features, image_labels, text_features, text_labels, most_texts)


def match_any_class(image_features: np.ndarray, text_features: np.ndarray, k: int) -> Matches:
    """The k most similar of all texts, whatever their class.

    image_features: (num_images, dim), text_features: (num_texts, dim), float32, L2-normalised.
    """
    one_class = np.zeros(len(image_features), np.int64)
    return match_topk(
        image_features, one_class, text_features, np.zeros(len(text_features), np.int64), k
    )
