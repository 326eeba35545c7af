"""Vectors that differ: of several that are nearly equal, the first."""

import numpy as np

BLOCK_ROWS = 1024
"""The most rows of cosines that are in memory at once."""


def distinct(vectors: np.ndarray, max_cosine: float) -> np.ndarray:
    """Returns the indices, ascending, of the vectors whose cosine with every kept vector before
    them is at most `max_cosine`.

    vectors: (num_vectors, dim), L2-normalised.
    """
    kept = np.empty(0, np.int64)
    for start in range(0, len(vectors), BLOCK_ROWS):
        rows = vectors[start : start + BLOCK_ROWS]
        is_kept = (rows @ vectors[kept].T <= max_cosine).all(axis=1)
        is_near = rows @ rows.T > max_cosine
        for row in np.flatnonzero(is_kept):
            is_kept[row] = not (is_near[row, :row] & is_kept[:row]).any()
        kept = np.concatenate([kept, start + np.flatnonzero(is_kept)])
    return kept
