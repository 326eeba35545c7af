"""Cosine similarities in bounded memory, and top-k with ties in the order of the columns."""

from collections.abc import Iterator

import numpy as np

CHUNK_BYTES = 64 * 2**20
"""About how much memory the rows that a thread works on at once may take."""
CHUNK_ROWS = 2048
"""The most rows worked on at once: vectors of 512 and their similarities then stay in the cache."""

MAX_ROUNDS = 12
"""Up to this k, searching the highest score k times is faster than sorting."""


def unique_rows(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct rows of `features` (num_rows, dim), and for each row its position among
    them, (num_rows,).

    The distinct rows are sorted, so they do not depend on the order of `features`.
    """
    # + 0 turns -0.0 into 0.0, so that equal vectors have equal bytes
    rows = np.ascontiguousarray(features + np.float32(0))
    as_bytes = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    return rows[first], inverse.ravel()


def chunks(rows: np.ndarray, row_bytes: int) -> Iterator[np.ndarray]:
    """Yields consecutive pieces of `rows` of at most CHUNK_ROWS rows and CHUNK_BYTES bytes, with
    `row_bytes` bytes per row."""
    size = max(1, min(CHUNK_ROWS, CHUNK_BYTES // row_bytes))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def cosine(
    image_features: np.ndarray, rows: np.ndarray, texts: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Returns the similarities (len(rows), num_texts), float32, of the images `rows` to all texts.

    image_features: (num_images, dim), float32, L2-normalised. texts: the result of `unique_rows`
    for text features (num_texts, dim), likewise. Equal texts get bit-identical similarities:
    BLAS may round a product differently by its position, so each distinct vector is multiplied
    once. The result is in column-major order, in which `top_k` is faster.
    """
    distinct, inverse = texts
    similarity = np.empty((len(distinct), len(rows)), np.float32)
    filled = 0
    for chunk in chunks(rows, 4 * image_features.shape[1]):
        columns = slice(filled, filled + len(chunk))
        np.matmul(distinct, _rows(image_features, chunk).T, out=similarity[:, columns])
        filled += len(chunk)
    return similarity[inverse].T


def _rows(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns `features[rows]`, a view if the rows are consecutive, as in a data set sorted by
    class."""
    first, last = rows[0], rows[-1] + 1
    follow = last - first == len(rows) and np.array_equal(rows, np.arange(first, last))
    return features[first:last] if follow else features[rows]


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Returns the columns (num_rows, min(k, num_columns)) of the highest scores, best first; of
    equal scores the lower column first.

    scores: (num_rows, num_columns), without NaN.
    """
    num_columns = scores.shape[1]
    k = min(k, num_columns)
    # the search below marks a chosen column by -inf, so scores of -inf need the sort
    if k > MAX_ROUNDS or scores.min(initial=0) == -np.inf:
        return np.argsort(-scores, axis=1, kind="stable")[:, :k]
    left = scores.copy(order="K")
    # the highest mark is that of the lowest column; a narrow type makes these passes fast
    marks = np.arange(num_columns, 0, -1, dtype=np.min_scalar_type(num_columns))
    columns = np.empty((len(scores), k), np.intp)
    for place in range(k):
        is_best = left == left.max(axis=1, keepdims=True)
        columns[:, place] = num_columns - (is_best * marks).max(axis=1)
        if place + 1 < k:
            np.put_along_axis(left, columns[:, place, None], -np.inf, axis=1)
    return columns
