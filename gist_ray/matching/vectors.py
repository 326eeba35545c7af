"""Embeddings that stay where they are stored until somebody names the rows that are needed.

A million vectors of 512 are 2 GiB. So only the parts with needed rows are read, a few at a time,
and what is needed of them goes straight into one matrix.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.artifacts import Artifact

READ_AHEAD = 8
"""Parts that are read at the same time; on S3 most of that is waiting."""


@dataclass(frozen=True)
class Vectors:
    """An embedding table by its ids.

    pieces: the number of rows, and what reads the rows, of each of its consecutive pieces.
    """

    ids: pa.Array
    pieces: Sequence[tuple[int, Callable[[], pa.Table]]]


def stored_vectors(artifact: Artifact, id_column: str) -> Vectors:
    """The rows of an embedding artifact. Raises UserError if it has none or a part is damaged."""
    ids = artifact.read([id_column]).column(id_column).combine_chunks()
    pieces = [
        (part["rows"], partial(artifact.read_part, part, ["embedding"]))
        for part in artifact.info["parts"]
    ]
    return Vectors(ids, pieces)


def vectors_in_memory(embeddings: pa.Table, id_column: str) -> Vectors:
    """The rows of an embedding table."""
    pieces = [
        (batch.num_rows, partial(pa.Table.from_batches, [batch]))
        for batch in embeddings.to_batches()
    ]
    return Vectors(embeddings.column(id_column).combine_chunks(), pieces)


def find_vectors(vectors: Vectors, wanted: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the ids `wanted` have an embedding, (num_wanted,) bool, and the embeddings of those,
    (num_known, dim) float32, in their order."""
    places = pc.index_in(wanted, value_set=vectors.ids)
    known = np.asarray(pc.is_valid(places))
    rows = places.drop_null().to_numpy()
    by_place = np.argsort(rows, kind="stable")
    ends = np.cumsum([num_rows for num_rows, _ in vectors.pieces])
    bounds = np.searchsorted(rows[by_place], ends)
    found = [
        (read, targets, end - num_rows)
        for (num_rows, read), targets, end in zip(
            vectors.pieces, np.split(by_place, bounds)[:-1], ends, strict=True
        )
        if len(targets)
    ]
    if not found:  # one is read all the same, to know the length of a vector
        found = [(vectors.pieces[0][1], by_place, 0)]
    matrix = np.empty((0, 0), np.float32)
    read_all = _ahead([read for read, _, _ in found])
    for table, (_, targets, start) in zip(read_all, found, strict=True):
        piece = embedding_matrix(table)
        if not matrix.size:
            matrix = np.empty((len(rows), piece.shape[1]), np.float32)
        matrix[targets] = piece[rows[targets] - start]
    return known, matrix


def embedding_matrix(embeddings: pa.Table) -> np.ndarray:
    """The vectors of an embedding table as (num_rows, dim) float32; a view where Arrow holds them
    in one piece."""
    column = embeddings.column("embedding")
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(-1, column.type.list_size)


def _ahead(reads: Iterable[Callable[[], pa.Table]]) -> Iterator[pa.Table]:
    """What each of `reads` gives, in order; a few run ahead."""
    with ThreadPoolExecutor(READ_AHEAD) as threads:
        waiting = []
        for read in reads:
            waiting.append(threads.submit(read))
            if len(waiting) > READ_AHEAD:
                yield waiting.pop(0).result()
        for running in waiting:
            yield running.result()
