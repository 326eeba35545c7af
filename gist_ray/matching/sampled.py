"""Texts of the own class drawn with softmax weights: similar texts often, others now and then."""

from collections.abc import Sequence

import numpy as np

from gist_ray.matching.groups import Matches, image_rng, match_within_classes
from gist_ray.matching.similarity import top_k


def match_sampled(
    image_features: np.ndarray,
    image_labels: np.ndarray,
    text_features: np.ndarray,
    text_labels: np.ndarray,
    k: int,
    temperature: float,
    image_ids: Sequence[str],
    seed: int,
) -> Matches:
    """k texts of the own class, drawn without replacement with weights softmax(similarity /
    temperature), in the order drawn.

    Arrays as in `match_topk`. Each image has random numbers of its own, so the order of the images
    does not matter. Raises UserError if a class with images has no text.
    """

    def select(rows: np.ndarray, similarity: np.ndarray, texts: np.ndarray) -> np.ndarray:
        # the k highest of logit + Gumbel noise are a draw without replacement (Kool et al. 2019)
        noise = np.stack([image_rng(seed, image_ids[row]).gumbel(size=len(texts)) for row in rows])
        return top_k(similarity / temperature + noise, k)

    return match_within_classes(image_features, image_labels, text_features, text_labels, k, select)
