"""The images that fit each concept best, in bounded memory.

CLIP puts a few images near to nearly every text (hubs). So the score of an image is its cosine with
a concept above its mean cosine with all concepts. That a floor means the same for every CLIP, it
counts in standard deviations of these differences over all concepts and images. Both come from the
mean and the covariance of the concepts, without a pass over all pairs. The correction is our
choice.
"""

import numpy as np

BLOCK_BYTES = 64 * 2**20
"""About how much memory the scores of a block of images may take."""


def best_images(
    images: np.ndarray,
    concepts: np.ndarray,
    *,
    k: int,
    floor: float,
    block_bytes: int = BLOCK_BYTES,
) -> np.ndarray:
    """Returns (num_concepts, k) int64: the images with the highest scores above `floor`, best
    first, of equal scores the lower index first; -1 where there are fewer.

    images: (num_images, dim), concepts: (num_concepts, dim), both float32, L2-normalised.
    """
    mean = concepts.mean(axis=0)
    centred = concepts - mean
    covariance = centred.T @ centred / len(concepts)
    best = np.full((len(concepts), k), -1)
    scores = np.full((len(concepts), k), floor, np.float32)
    size = max(1, block_bytes // (4 * max(concepts.shape)))
    blocks = [slice(start, start + size) for start in range(0, len(images), size)]
    variances = [np.einsum("nd,nd->n", images[rows] @ covariance, images[rows]) for rows in blocks]
    # equal concepts leave a variance of rounding
    deviation = np.sqrt(max(np.concatenate(variances).mean(), np.finfo(np.float32).eps))
    for rows in blocks:
        _merge(best, scores, centred @ images[rows].T / deviation, start=rows.start)
    return best


def _merge(best: np.ndarray, scores: np.ndarray, found: np.ndarray, *, start: int) -> None:
    """Puts the images from `start`, with scores `found` (num_concepts, num_rows), among the
    best."""
    # of equal scores the image that was there before has the lower index
    concept, column = np.nonzero(found > scores[:, -1:])
    touched = np.unique(concept)
    k = best.shape[1]
    concepts = np.concatenate([np.repeat(touched, k), concept])
    images = np.concatenate([best[touched].ravel(), column + start])
    values = np.concatenate([scores[touched].ravel(), found[concept, column]])
    order = np.lexsort((images, -values, concepts))
    place = np.arange(len(order)) - np.searchsorted(concepts[order], concepts[order])
    kept = order[place < k]
    best[touched] = images[kept].reshape(-1, k)
    scores[touched] = values[kept].reshape(-1, k)
