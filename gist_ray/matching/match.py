"""Texts for the training images: tables in, one MATCHES table out."""

import numpy as np
import pyarrow as pa

from gist_ray.errors import UserError
from gist_ray.matching.balanced import match_balanced
from gist_ray.matching.config import BLIND_VARIANTS, CLASS_NAME, MatchingConfig
from gist_ray.matching.controls import match_all, match_any_class, match_random
from gist_ray.matching.groups import Matches
from gist_ray.matching.inputs import MatchingInputs, gather_inputs
from gist_ray.matching.mmr import match_mmr
from gist_ray.matching.sampled import match_sampled
from gist_ray.matching.topk import match_topk
from gist_ray.matching.vectors import BLOCK_BYTES, Vectors
from gist_ray.schema import MATCHES


def match(
    manifest: pa.Table,
    image_vectors: Vectors,
    texts: pa.Table,
    text_vectors: Vectors,
    config: MatchingConfig,
    seed: int,
) -> pa.Table:
    """The texts of every image of split "train", as a MATCHES table: images class by class and
    then in the manifest's order, rank 0 the text that the variant prefers.

    Left out: rejected texts, and images and texts without an embedding (`without_embedding` lists
    those). class_name matches nothing: the table is empty. `seed` matters for sampled and random.
    Raises UserError: see `gather_inputs`; and if min_similarity leaves no match at all.
    """
    if config.variant == CLASS_NAME:
        return MATCHES.empty_table()
    inputs = gather_inputs(manifest, image_vectors, texts, text_vectors)
    matches = choose(inputs, config, seed)
    keep = matches.text_index >= 0
    if config.variant not in BLIND_VARIANTS:
        keep &= matches.similarity >= config.min_similarity
    if not keep.any():
        raise UserError(
            f"matching.min_similarity={config.min_similarity} leaves no match: the highest "
            f"similarity is {np.nanmax(matches.similarity):.3f}. Choose a lower one."
        )
    images, _ = np.nonzero(keep)
    ranks = np.cumsum(keep, axis=1, dtype=np.int32) - 1
    return pa.table(
        [
            inputs.image_ids.take(pa.array(images)),
            pa.array(ranks[keep], pa.int32()),
            inputs.text_ids.take(pa.array(matches.text_index[keep])),
            pa.array(matches.similarity[keep]),
        ],
        schema=MATCHES,
    )


def choose(inputs: MatchingInputs, config: MatchingConfig, seed: int) -> Matches:
    """The matches of all images by the config's variant; any but class_name.

    Images are read and matched block by block, except where those of a class share its texts.
    Raises UserError as `MatchingInputs.image_blocks` does.
    """
    block_bytes = float("inf") if config.variant == "balanced" else BLOCK_BYTES
    rows, blocks = [], []
    for positions, features in inputs.image_blocks(block_bytes):
        rows.append(positions)
        blocks.append(_choose(inputs, positions, features, config, seed))
    order = np.argsort(np.concatenate(rows))
    return Matches(
        np.concatenate([block.text_index for block in blocks])[order],
        np.concatenate([block.similarity for block in blocks])[order],
    )


def _choose(
    inputs: MatchingInputs,
    positions: np.ndarray,
    features: np.ndarray,
    config: MatchingConfig,
    seed: int,
) -> Matches:
    """The matches of some images; `features` are theirs."""
    arrays = (features, inputs.image_labels[positions], inputs.text_features, inputs.text_labels)
    match config.variant:
        case "topk":
            return match_topk(*arrays, config.k)
        case "sampled":
            image_ids = inputs.image_ids.take(positions).to_pylist()
            return match_sampled(*arrays, config.k, config.temperature, image_ids, seed)
        case "mmr":
            return match_mmr(*arrays, config.k, config.diversity)
        case "balanced":
            return match_balanced(
                *arrays, config.k, config.sinkhorn_epsilon, config.sinkhorn_iterations
            )
        case "random":
            image_ids = inputs.image_ids.take(positions).to_pylist()
            return match_random(*arrays, config.k, image_ids, seed)
        case "all":
            return match_all(*arrays)
        case "any_class":
            return match_any_class(features, inputs.text_features, config.k)
    raise ValueError(f"the variant {config.variant!r} matches no texts")
