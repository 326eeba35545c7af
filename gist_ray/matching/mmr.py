"""Matching by maximal marginal relevance: texts similar to the image and unlike each other."""

import numpy as np

from gist_ray.matching.groups import LabelledFeatures, Matches, match_within_classes
from gist_ray.matching.similarity import cosine, unique_rows


def match_mmr(
    images: LabelledFeatures, texts: LabelledFeatures, k: int, *, diversity: float
) -> Matches:
    """Returns k texts of the own class for each image, chosen one after the other.

    The first is the most similar. Each further one has the highest
    (1 - diversity) * similarity to the image - diversity * highest similarity to a chosen text
    (Carbonell and Goldstein 1998, with lambda = 1 - diversity). Ties go to the text that comes
    first in the table. Raises UserError if a class with images has no text.
    """

    def select(rows: np.ndarray, similarity: np.ndarray, own: np.ndarray) -> np.ndarray:
        own_texts = texts.features[own]
        between_texts = cosine(own_texts, np.arange(len(own)), unique_rows(own_texts))
        every_row = np.arange(len(rows))
        chosen = [similarity.argmax(axis=1)]
        closest = between_texts[chosen[0]]
        taken = np.zeros(similarity.shape, bool)
        for _ in range(1, min(k, len(own))):
            taken[every_row, chosen[-1]] = True
            score = (1 - diversity) * similarity - diversity * closest
            score[taken] = -np.inf
            chosen.append(score.argmax(axis=1))
            closest = np.maximum(closest, between_texts[chosen[-1]])
        return np.stack(chosen, axis=1)

    return match_within_classes(images, texts, select, k=k)
