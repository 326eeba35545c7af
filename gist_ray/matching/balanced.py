"""Texts of a class share its images: optimal transport, so that one text cannot take a class."""

import numpy as np
from scipy.special import logsumexp

from gist_ray.matching.groups import Matches, match_within_classes
from gist_ray.matching.similarity import top_k


def match_balanced(
    image_features: np.ndarray,
    image_labels: np.ndarray,
    text_features: np.ndarray,
    text_labels: np.ndarray,
    k: int,
    epsilon: float,
    num_iterations: int,
) -> Matches:
    """The k texts with the largest share of each image in the entropic transport plan from the
    images of a class (mass 1 each) to its texts (equal shares).

    Arrays as in `match_topk`. Shares are equal in the plan; the k largest of each row follow it
    only as far as images differ. All similarities of a class are in memory at once.
    Raises UserError if a class with images has no text.
    """

    def select(rows: np.ndarray, similarity: np.ndarray, texts: np.ndarray) -> np.ndarray:
        logits = similarity.astype(np.float64) / epsilon
        # an image's own potential moves its whole row, so it does not change the order in it
        return top_k(logits + text_potentials(logits, num_iterations), k)

    return match_within_classes(
        image_features, image_labels, text_features, text_labels, k, select, whole_class=True
    )


def text_potentials(logits: np.ndarray, num_iterations: int) -> np.ndarray:
    """Column potentials (num_texts,) of Sinkhorn's algorithm (Cuturi 2013) in the log domain, for
    rows of mass 1 and columns of equal mass. logits: (num_images, num_texts), similarity / epsilon.
    """
    num_images, num_texts = logits.shape
    columns = np.zeros(num_texts)
    for _ in range(num_iterations):
        rows = -logsumexp(logits + columns, axis=1)
        columns = np.log(num_images / num_texts) - logsumexp(logits + rows[:, None], axis=0)
    return columns
