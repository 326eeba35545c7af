"""Texts that are similar to the image and unlike each other: maximal marginal relevance."""

import numpy as np

from gist_ray.matching.groups import Matches, match_within_classes
from gist_ray.matching.similarity import cosine, unique_rows


def match_mmr(
    image_features: np.ndarray,
    image_labels: np.ndarray,
    text_features: np.ndarray,
    text_labels: np.ndarray,
    k: int,
    diversity: float,
) -> Matches:
    """k texts of the own class, chosen one by one; each has the highest
    (1 - diversity) * similarity to the image - diversity * highest similarity to a chosen text
    (Carbonell and Goldstein 1998, with lambda = 1 - diversity). The first is the most similar.

    Arrays as in `match_topk`; ties go to the text that stands first.
    Raises UserError if a class with images has no text.
    """

    def select(rows: np.ndarray, similarity: np.ndarray, texts: np.ndarray) -> np.ndarray:
        own_texts = text_features[texts]
        between_texts = cosine(own_texts, np.arange(len(texts)), unique_rows(own_texts))
        everyone = np.arange(len(rows))
        chosen = [similarity.argmax(axis=1)]
        closest = between_texts[chosen[0]]
        taken = np.zeros(similarity.shape, bool)
        for _ in range(1, min(k, len(texts))):
            taken[everyone, chosen[-1]] = True
            score = (1 - diversity) * similarity - diversity * closest
            score[taken] = -np.inf
            chosen.append(score.argmax(axis=1))
            closest = np.maximum(closest, between_texts[chosen[-1]])
        return np.stack(chosen, axis=1)

    return match_within_classes(image_features, image_labels, text_features, text_labels, k, select)
