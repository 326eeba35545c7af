"""Label-preserving top-k: GIST's matching (caption_matching.py of emu1729/GIST), exact.

GIST's softmax over 100 x cosine within a class is monotone, so its order is that of the cosine.
It leaves ties to an unstable sort; here the higher similarity comes first, then the text that
stands first.
"""

import numpy as np

from gist_ray.matching.groups import Matches, match_within_classes
from gist_ray.matching.similarity import top_k


def match_topk(
    image_features: np.ndarray,
    image_labels: np.ndarray,
    text_features: np.ndarray,
    text_labels: np.ndarray,
    k: int,
) -> Matches:
    """The k texts of its own class that are most similar to each image.

    image_features: (num_images, dim), text_features: (num_texts, dim), float32, L2-normalised;
    image_labels: (num_images,), text_labels: (num_texts,). All texts where a class has fewer than
    k. Equal texts tie exactly; of texts that differ, similarities closer than float32 rounding
    (about 1e-7) are ordered as they come out of BLAS.
    Raises UserError if a class with images has no text.
    """
    return match_within_classes(
        image_features,
        image_labels,
        text_features,
        text_labels,
        k,
        lambda rows, similarity, texts: top_k(similarity, k),
    )
