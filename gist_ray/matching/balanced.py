"""Matching by optimal transport, which spreads the images of a class evenly over its texts."""

import numpy as np
from scipy.special import logsumexp

from gist_ray.matching.groups import LabelledFeatures, Matches, match_within_classes
from gist_ray.matching.similarity import top_k


def match_balanced(
    images: LabelledFeatures,
    texts: LabelledFeatures,
    k: int,
    *,
    epsilon: float,
    num_iterations: int,
) -> Matches:
    """Returns the k texts with the largest share of each image in the entropic transport plan from
    the images of a class (mass 1 each) to its texts (equal mass).

    epsilon, num_iterations: as in `text_potentials`. The texts have equal mass in the plan, but not
    necessarily in the k largest entries of each row: identical images get the same texts. All
    similarities of a class are in memory at once.
    Raises UserError if a class with images has no text.
    """

    def select(rows: np.ndarray, similarity: np.ndarray, own: np.ndarray) -> np.ndarray:
        logits = similarity.astype(np.float64) / epsilon
        # the image's own potential is constant within its row, so it does not change the order
        return top_k(logits + text_potentials(logits, num_iterations), k)

    return match_within_classes(images, texts, select, k=k, whole_class=True)


def text_potentials(logits: np.ndarray, num_iterations: int) -> np.ndarray:
    """Returns the column potentials (num_texts,) of Sinkhorn's algorithm (Cuturi 2013) in the log
    domain, for rows of mass 1 and columns of equal mass.

    logits: (num_images, num_texts), similarity / epsilon.
    """
    num_images, num_texts = logits.shape
    columns = np.zeros(num_texts)
    for _ in range(num_iterations):
        rows = -logsumexp(logits + columns, axis=1)
        columns = np.log(num_images / num_texts) - logsumexp(logits + rows[:, None], axis=0)
    return columns
