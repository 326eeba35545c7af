"""Matches that are the captions imported with each image, without any choice by similarity."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.errors import UserError
from gist_ray.matching.inputs import MatchingInputs
from gist_ray.matching.vectors import BLOCK_BYTES
from gist_ray.schema import MATCHES


def match_imported(inputs: MatchingInputs, pairs: pa.Table, k: int) -> pa.Table:
    """Returns the first k captions of every training image, as a MATCHES table.

    pairs: MATCHES of the import, ranks in the order of the file. Pairs of other images, and of
    texts that were rejected or have no embedding, are left out, and ranks are renumbered from 0.
    Similarities are cosines of the embeddings, for information.
    Raises UserError if no pair is left, and as `MatchingInputs.image_blocks` does.
    """
    pairs = pairs.filter(
        pc.and_(
            pc.is_in(pairs.column("image_id"), value_set=inputs.image_ids),
            pc.is_in(pairs.column("text_id"), value_set=inputs.text_ids),
        )
    )
    if not pairs.num_rows:
        raise UserError(
            "texts.use_pairs=true: no training image has a caption that is left after cleaning. "
            "See the texts' column 'rejected', and whether texts.import_from is of these images."
        )
    images = pc.index_in(pairs.column("image_id"), value_set=inputs.image_ids).to_numpy()
    texts = pc.index_in(pairs.column("text_id"), value_set=inputs.text_ids).to_numpy()
    order = np.lexsort((pairs.column("rank").to_numpy(), images))
    images, texts = images[order], texts[order]
    ranks = np.arange(len(images)) - np.searchsorted(images, images)
    images, texts, ranks = (values[ranks < k] for values in (images, texts, ranks))
    return pa.table(
        [
            inputs.image_ids.take(pa.array(images)),
            pa.array(ranks, pa.int32()),
            inputs.text_ids.take(pa.array(texts)),
            pa.array(_similarities(inputs, images, texts)),
        ],
        schema=MATCHES,
    )


def _similarities(inputs: MatchingInputs, images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Returns the cosine of each pair, (num_pairs,) float32. images: positions, ascending."""
    similarity = np.empty(len(images), np.float32)
    for positions, features in inputs.image_blocks(BLOCK_BYTES):
        rows = np.flatnonzero(np.isin(images, positions))
        of_block = np.searchsorted(positions, images[rows])
        similarity[rows] = np.einsum(
            "ij,ij->i", features[of_block], inputs.text_features[texts[rows]]
        )
    return similarity
