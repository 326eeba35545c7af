"""Embedding tables whose vectors are read on demand.

A million vectors of 512 take 2 GiB. So only the parts with wanted rows are read, a few at a time,
and their wanted rows are copied into one matrix. A caller that works block by block
(`read_blocks`) holds one block at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.store.artifacts import Artifact
from gist_ray.store.read_ahead import read_ahead

BLOCK_BYTES = 64 * 2**20
"""About how many bytes the vectors of a block may take."""


@dataclass(frozen=True)
class Vectors:
    """The ids of an embedding table, and readers of its vectors.

    pieces: (number of rows, function that reads them) of each consecutive piece of the table.
    """

    ids: pa.Array
    pieces: Sequence[tuple[int, Callable[[], pa.Table]]]

    @cached_property
    def dim(self) -> int:
        """The number of dimensions of a vector. The first access reads a piece."""
        return embedding_matrix(self.pieces[0][1]()).shape[1]

    @cached_property
    def ends(self) -> np.ndarray:
        """The row after the last of each piece, (num_pieces,)."""
        return np.cumsum([num_rows for num_rows, _ in self.pieces])


def stored_vectors(artifact: Artifact, id_column: str) -> Vectors:
    """Returns the rows of an embedding artifact. Raises UserError if it has none or a part is
    damaged."""
    ids = artifact.read_ids(id_column)
    # The vectors are nearly all bytes of a part, so reading it whole is faster.
    pieces = [
        (part["rows"], partial(artifact.read_part, part, ["embedding"], by_range=False))
        for part in artifact.info["parts"]
    ]
    return Vectors(ids, pieces)


def vectors_in_memory(embeddings: pa.Table, id_column: str) -> Vectors:
    """Returns the rows of an embedding table that is in memory."""
    pieces = [
        (batch.num_rows, partial(pa.Table.from_batches, [batch]))
        for batch in embeddings.to_batches()
    ]
    return Vectors(embeddings.column(id_column).combine_chunks(), pieces)


def find_vectors(vectors: Vectors, wanted: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns which of the ids `wanted` have an embedding, (num_wanted,) bool, and the embeddings
    of those in their order, (num_known, dim) float32."""
    known, places = find_places(vectors, wanted)
    return known, read_vectors(vectors, places)


def find_places(vectors: Vectors, wanted: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns which of the ids `wanted` have an embedding, (num_wanted,) bool, and the rows of
    those in their order, (num_known,)."""
    places = pc.index_in(wanted, value_set=vectors.ids)
    return np.asarray(pc.is_valid(places)), places.drop_null().to_numpy()


def read_blocks(
    vectors: Vectors, places: np.ndarray, block_bytes: float = BLOCK_BYTES
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the embeddings of the rows `places` (num_places,) block by block: (positions in
    `places`, ascending; their embeddings, (num_in_block, dim) float32).

    A block is one or more whole parts, of about `block_bytes`, so that no part is read twice.
    """
    most_rows = block_bytes / (4 * vectors.dim)
    by_place = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[by_place], vectors.ends)
    start = 0
    for part, end in enumerate(ends):
        is_full = end == len(places) or ends[part + 1] - start > most_rows
        if end > start and is_full:
            block = np.sort(by_place[start:end])
            yield block, read_vectors(vectors, places[block])
            start = end


def read_vectors(vectors: Vectors, places: np.ndarray) -> np.ndarray:
    """Returns the embeddings of the rows `places` (num_places,), as (num_places, dim) float32."""
    by_place = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[by_place], vectors.ends)
    found = [
        (read, targets, end - num_rows)
        for (num_rows, read), targets, end in zip(
            vectors.pieces, np.split(by_place, bounds)[:-1], vectors.ends, strict=True
        )
        if len(targets)
    ]
    if not found:  # one piece is read to know the dimensions of the empty result
        found = [(vectors.pieces[0][1], by_place, 0)]
    matrix = np.empty((0, 0), np.float32)
    read_all = read_ahead([read for read, _, _ in found])
    for table, (_, targets, start) in zip(read_all, found, strict=True):
        piece = embedding_matrix(table)
        if not matrix.size:
            matrix = np.empty((len(places), piece.shape[1]), np.float32)
        matrix[targets] = piece[places[targets] - start]
    return matrix


def embedding_matrix(embeddings: pa.Table) -> np.ndarray:
    """Returns the vectors of an embedding table as (num_rows, dim) float32; a view if the column
    has one chunk."""
    column = embeddings.column("embedding")
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(-1, column.type.list_size)
