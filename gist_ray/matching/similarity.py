"""Cosine similarities in bounded memory, and the one tie rule: higher similarity, then order."""

from collections.abc import Iterator

import numpy as np

CHUNK_BYTES = 64 * 2**20
"""About how much memory the rows handled at once may take."""


def unique_rows(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of `features` (num_rows, dim), and for each row its place among them.

    The distinct rows are sorted, so they do not depend on the order of `features`.
    """
    # + 0 turns -0.0 into 0.0, which must not make two equal vectors differ in their bytes
    rows = np.ascontiguousarray(features + np.float32(0))
    as_bytes = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    return rows[first], inverse.ravel()


def chunks(rows: np.ndarray, row_bytes: int) -> Iterator[np.ndarray]:
    """Consecutive pieces of `rows` of at most CHUNK_BYTES, at `row_bytes` a row."""
    size = max(1, CHUNK_BYTES // row_bytes)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def cosine(
    image_features: np.ndarray, rows: np.ndarray, texts: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Similarities (len(rows), num_texts), float32, of the images `rows` to all texts.

    image_features: (num_images, dim), float32, L2-normalised. texts: what `unique_rows` gives of
    (num_texts, dim) text features of the same kind. Equal texts get bit-identical similarities:
    BLAS may round a product differently by its position, so each distinct vector is multiplied
    once.
    """
    distinct, inverse = texts
    similarity = np.empty((len(rows), len(distinct)), np.float32)
    filled = 0
    for chunk in chunks(rows, 4 * image_features.shape[1]):
        np.matmul(image_features[chunk], distinct.T, out=similarity[filled : filled + len(chunk)])
        filled += len(chunk)
    return similarity[:, inverse]


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns (num_rows, min(k, num_columns)) of the highest scores, best first; of equal scores
    the lower column first.

    scores: (num_rows, num_columns), without NaN.
    """
    num_columns = scores.shape[1]
    k = min(k, num_columns)
    kth = np.partition(scores, num_columns - k, axis=1)[:, num_columns - k, None]
    above = scores > kth
    tied = scores == kth
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (tied & (np.cumsum(tied, axis=1, dtype=np.int32) <= room))
    columns = np.nonzero(chosen)[1].reshape(len(scores), k)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
