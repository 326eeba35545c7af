"""Matching by a draw of texts of the own class with softmax weights of their similarity."""

from collections.abc import Sequence

import numpy as np

from gist_ray.matching.groups import LabelledFeatures, Matches, image_rng, match_within_classes
from gist_ray.matching.similarity import top_k


def match_sampled(
    images: LabelledFeatures,
    texts: LabelledFeatures,
    k: int,
    *,
    temperature: float,
    image_ids: Sequence[str],
    seed: int,
) -> Matches:
    """Returns k texts of the own class for each image, drawn without replacement with weights
    softmax(similarity / temperature), in the order drawn.

    image_ids: one per image; the draw depends on the id and `seed`, not on the image's position.
    Raises UserError if a class with images has no text.
    """

    def select(rows: np.ndarray, similarity: np.ndarray, own: np.ndarray) -> np.ndarray:
        # the k highest of logit + Gumbel noise are a draw without replacement (Kool et al. 2019)
        noise = np.stack([image_rng(seed, image_ids[row]).gumbel(size=len(own)) for row in rows])
        return top_k(similarity / temperature + noise, k)

    return match_within_classes(images, texts, select, k=k)
