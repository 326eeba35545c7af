"""The pairs of images whose embeddings are near each other: candidates for copies.

Up to MOST_EXACT images every image is compared with every other one. Above, faiss's inverted lists
are searched (IVF, of https://arxiv.org/abs/1702.08734): images are sorted into cells around
centroids, and each is compared with those of the nearest cells. A copy lies in the cell of its
picture or in one beside it. benchmarks/README.md has the seconds of both and how many pairs the
lists find. The index holds the vectors as 16-bit floats: 1 GiB for 1,000,000 of 512.
"""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from gist_ray.matching.vectors import Vectors, read_blocks, read_vectors

MOST_EXACT = 50_000

NUM_CELLS_PROBED = 8
"""Cells in which the neighbours of an image are looked for."""

NUM_ITERATIONS = 10
"""Iterations of the k-means that places the centroids."""

TRAINING_PER_CELL = 40
"""Vectors per centroid that the centroids are learned from; faiss asks for 39 or more."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows of an embedding table, the most similar first.

    one, other: (num_pairs,) int64, one < other; similarity: (num_pairs,) float32, their cosine.
    """

    one: np.ndarray
    other: np.ndarray
    similarity: np.ndarray


def near_pairs(vectors: Vectors, *, num_neighbours: int, min_similarity: float) -> Pairs:
    """Returns the pairs with a cosine of at least `min_similarity` in which one image is among the
    `num_neighbours` nearest of the other. The vectors are read in blocks, twice or three times."""
    index = index_of(vectors)
    of_blocks = []
    for rows, features in read_blocks(vectors, np.arange(len(vectors.ids))):
        similarity, near = index.search(features, num_neighbours + 1)  # an image finds itself
        kept = (similarity >= min_similarity) & (near >= 0) & (near != rows[:, None])
        places, _ = np.nonzero(kept)
        pair = np.sort(np.stack([rows[places], near[kept]], axis=1), axis=1)
        of_blocks.append((pair, similarity[kept]))
    pairs = np.concatenate([pair for pair, _ in of_blocks])
    similarity = np.concatenate([found for _, found in of_blocks])
    distinct, first = np.unique(pairs, axis=0, return_index=True)
    order = np.argsort(-similarity[first], kind="stable")
    return Pairs(distinct[order, 0], distinct[order, 1], similarity[first][order])


def index_of(vectors: Vectors) -> Any:
    """Returns an index of the cosines of all vectors: exact up to MOST_EXACT of them, and
    of inverted lists above. Its k-means has faiss's own fixed seed."""
    num_rows = len(vectors.ids)
    places = np.arange(num_rows)
    if num_rows <= MOST_EXACT:
        index: Any = faiss.IndexFlatIP(vectors.dim)
    else:
        num_cells = int(2 * num_rows**0.5)
        kind = f"IVF{num_cells},SQfp16"
        index = faiss.index_factory(vectors.dim, kind, faiss.METRIC_INNER_PRODUCT)
        index.nprobe = NUM_CELLS_PROBED
        index.cp.niter = NUM_ITERATIONS
        step = max(1, num_rows // (num_cells * TRAINING_PER_CELL))
        index.train(read_vectors(vectors, places[::step]))
    for _, features in read_blocks(vectors, places):  # in the order of the rows
        index.add(features)
    return index
